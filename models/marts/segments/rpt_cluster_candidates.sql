-- One row per algorithm x number of clusters: how good the partition is, whether it is
-- the one that segments are made with, and why. Answers: why this many segments?
--
-- The rule: of the K-Means partitions in the range, the finest that is stable, leaves
-- no tiny cluster, and is neither blurred nor overlapping by the two vetoes.

{# With fewer customers no partition can be called stable: a cluster of the smallest
    share would be a single customer. -#}
{% set fewest_customers = 30 %}
{% set lowest = var('cluster_count_min') %}
{% set highest = var('cluster_count_max') %}
{% set share = var('cluster_smallest_share') %}
{% set jaccard = var('cluster_smallest_jaccard') %}
{% set silhouette = var('cluster_smallest_silhouette') %}
{% set davies_bouldin = var('cluster_largest_davies_bouldin') %}
{% set share_text = '%.1f' | format(100 * (share | float)) %}
{% set jaccard_text = '%.3f' | format(jaccard | float) %}
{% set silhouette_text = '%.3f' | format(silhouette | float) %}
{% set davies_bouldin_text = '%.3f' | format(davies_bouldin | float) %}
{% set is_auto = var('cluster_count') == 'auto' %}

with

candidates as (

    select
        algorithm,
        k,
        cluster_count,
        customer_count,
        different_count,
        fit_sample_size,
        silhouette_sample_size,
        stability_sample_size,
        gap_sample_size,
        resampling,
        bootstrap_count,
        reference_count,
        inertia,
        silhouette,
        davies_bouldin,
        calinski_harabasz,
        gap,
        gap_standard_error,
        smallest_share,
        noise_share,
        bootstrap_ari,
        smallest_jaccard,
        jaccard_standard_error,
        is_knee,
        unfit_reason,
        fit_seconds,
        fingerprint

    from {{ ref('ml_cluster_candidates') }}

),

-- Figures as words: by way of decimals, whose digits are the same on every build.
worded as (

    select
        *,
        cast(k as string) as k_text,
        cast(customer_count as string) as customer_text,
        concat(
            cast(different_count as string),
            case
                when different_count = 1 then ' different customer'
                else ' different customers'
            end
        ) as different_text,
        cast(cast(100 * smallest_share as decimal(18, 1)) as string) as share_text,
        cast(cast(100 * noise_share as decimal(18, 1)) as string) as noise_text,
        cast(cast(smallest_jaccard as decimal(18, 3)) as string) as jaccard_text,
        cast(cast(silhouette as decimal(18, 3)) as string) as silhouette_text,
        cast(cast(davies_bouldin as decimal(18, 3)) as string) as davies_bouldin_text

    from candidates

),

-- What speaks against a partition, all of it, and its figures where nothing does.
judged as (

    select
        *,
        k between {{ lowest }} and {{ highest }} as is_in_range,
        concat_ws(
            '; ',
            case
                when k < {{ lowest }}
                    then concat(
                        'k = ', k_text, ' is below the range',
                        ' {{ lowest }} to {{ highest }}'
                    )
                when k > {{ highest }}
                    then concat(
                        'k = ', k_text, ' is above the range',
                        ' {{ lowest }} to {{ highest }}'
                    )
            end,
            case
                when smallest_share < {{ share }}
                    then concat(
                        'its smallest cluster holds ', share_text,
                        ' % of the customers, below {{ share_text }} %'
                    )
            end,
            case
                when smallest_jaccard is null
                    then 'its smallest Jaccard is not defined'
                when smallest_jaccard < {{ jaccard }}
                    then concat(
                        'its smallest Jaccard is ', jaccard_text,
                        ', below {{ jaccard_text }}'
                    )
            end,
            case
                when silhouette is null then 'its silhouette is not defined'
                when silhouette < {{ silhouette }}
                    then concat(
                        'its silhouette is ', silhouette_text,
                        ', below {{ silhouette_text }}'
                    )
            end,
            case
                when davies_bouldin is null then 'its Davies-Bouldin is not defined'
                when davies_bouldin > {{ davies_bouldin }}
                    then concat(
                        'its Davies-Bouldin is ', davies_bouldin_text,
                        ', above {{ davies_bouldin_text }}'
                    )
            end
        ) as failures,
        concat(
            'smallest cluster ', share_text, ' % of the customers (at least',
            ' {{ share_text }} %), smallest Jaccard ', jaccard_text,
            ' (at least {{ jaccard_text }}), silhouette ', silhouette_text,
            ' (at least {{ silhouette_text }}), Davies-Bouldin ', davies_bouldin_text,
            ' (at most {{ davies_bouldin_text }})'
        ) as figures,
        case
            when customer_count = 0 then 'not fitted: there are no customers'
            when unfit_reason = 'too_few_different_customers'
                then concat(
                    'not fitted: only ', different_text, '; k = ', k_text,
                    ' needs at least ', k_text
                )
            when unfit_reason = 'clusters_collapsed'
                then concat(
                    'not fitted: customers are so alike that only ',
                    cast(cluster_count as string), ' of ', k_text,
                    ' clusters hold any'
                )
            when unfit_reason = 'no_clusters_found'
                then 'not fitted: no cluster found, everybody is noise'
            when unfit_reason is not null
                then 'not fitted: the algorithm found no solution'
        end as unfit_text

    from worded

),

-- The rule chooses among K-Means partitions of enough customers within the range.
eligible as (

    select
        *,
        algorithm = 'kmeans'
        and unfit_reason is null
        and customer_count >= {{ fewest_customers }}
        and is_in_range as is_eligible,
        case when failures = '' then k end as passing_k

    from judged

),

-- First the finest that passes; failing that, the one that bootstraps find best again.
ordered as (

    select
        *,
        row_number() over (
            order by
                is_eligible desc,
                passing_k desc nulls last,
                smallest_jaccard desc nulls last,
                k desc,
                algorithm asc
        ) as rule_order

    from eligible

),

ruled as (

    select
        *,
        is_eligible and rule_order = 1 as is_rule_choice,
        {% if is_auto -%}
        is_eligible and rule_order = 1 as is_chosen
        {%- else -%}
        algorithm = 'kmeans'
        and unfit_reason is null
        and k = {{ var('cluster_count') }} as is_chosen
        {%- endif %}

    from ordered

),

-- One row, whatever was chosen: what the rule says, for the reasons of all others.
verdicts as (

    select
        max(case when is_rule_choice then k_text end) as rule_text,
        max(case when is_rule_choice then failures end) as rule_failures

    from ruled

),

compared as (

    select
        ruled.*,
        verdicts.rule_text,
        verdicts.rule_failures,
        partners.silhouette_text as partner_silhouette_text,
        partners.jaccard_text as partner_jaccard_text,
        -- Said of partitions alone, of which none has a single customer.
        concat(
            ruled.customer_text,
            ' customers; fewer than {{ fewest_customers }} are too few to call a',
            ' partition stable'
        ) as few_text,
        case
            when verdicts.rule_text is null then 'the rule would have chosen none'
            when verdicts.rule_failures = ''
                then concat('the rule would have chosen k = ', verdicts.rule_text)
            else concat(
                'the rule would have fallen back on k = ', verdicts.rule_text
            )
        end as rule_words

    from ruled

    cross join verdicts

    left outer join ruled as partners
        on
            ruled.k = partners.k
            and partners.algorithm = 'kmeans'
            and partners.unfit_reason is null

),

-- What the rule says of each row, whatever cluster_count says.
reasoned as (

    select
        *,
        case
            when unfit_text is not null then unfit_text
            when algorithm != 'kmeans'
                then concat_ws(
                    '; ',
                    concat(
                        'compared only: labels come from K-Means, whose centroids SQL',
                        ' can score'
                    ),
                    case
                        when partner_jaccard_text is not null
                            then concat(
                                'K-Means at k = ', k_text, ' has silhouette ',
                                coalesce(partner_silhouette_text, 'undefined'),
                                ' and smallest Jaccard ', partner_jaccard_text,
                                ', this one ',
                                coalesce(silhouette_text, 'undefined'),
                                ' and ', coalesce(jaccard_text, 'undefined')
                            )
                    end,
                    case
                        when noise_share > 0
                            then concat(
                                noise_text, ' % of the customers are noise, in no',
                                ' cluster'
                            )
                    end,
                    nullif(failures, '')
                )
            when customer_count < {{ fewest_customers }}
                then concat_ws(
                    '; ', concat('refused: only ', few_text), nullif(failures, '')
                )
            when is_rule_choice and failures = ''
                then concat(
                    'chosen: the finest stable partition, the largest k from',
                    ' {{ lowest }} to {{ highest }} that passes; ', figures
                )
            when is_rule_choice
                then concat(
                    'chosen as a fallback: no k from {{ lowest }} to {{ highest }}',
                    ' passes, and the smallest Jaccard of this one, ', jaccard_text,
                    ', is the largest; ', failures
                )
            when failures = ''
                then concat(
                    'refused: passes, but k = ', rule_text,
                    ' is finer and passes too; ', figures
                )
            else concat('refused: ', failures)
        end as rule_reason

    from compared

),

final as (

    select
        -- keys
        algorithm,
        k,

        -- attributes
        {% if is_auto -%}
        rule_reason as reason,
        {%- else -%}
        case
            when algorithm != 'kmeans' or unfit_text is not null then rule_reason
            when is_chosen
                then concat_ws(
                    '; ',
                    'chosen by the var cluster_count',
                    case
                        when is_rule_choice and failures = ''
                            then 'the rule chooses it too'
                        when is_rule_choice then 'the rule would fall back on it too'
                        else rule_words
                    end,
                    case
                        when customer_count < {{ fewest_customers }}
                            then concat('there are only ', few_text)
                    end,
                    case when failures = '' then figures else failures end
                )
            when is_rule_choice
                then concat(
                    'not chosen: the var cluster_count asks for k =',
                    ' {{ var("cluster_count") }}; by the rule it would be ',
                    rule_reason
                )
            else rule_reason
        end as reason,
        {%- endif %}
        concat_ws(
            '; ',
            case
                when fit_sample_size = customer_count
                    then concat('fitted on all ', customer_text, ' customers')
                else concat(
                    'fitted on a random sample of ',
                    cast(fit_sample_size as string), ' of ', customer_text,
                    ' customers'
                )
            end,
            case
                when silhouette_sample_size is not null
                    then concat(
                        'silhouette on ', cast(silhouette_sample_size as string)
                    )
            end,
            case
                when resampling = 'bootstrap'
                    then concat(
                        'stability on ', cast(bootstrap_count as string),
                        ' bootstraps of ', cast(stability_sample_size as string)
                    )
                when resampling = 'subset'
                    then concat(
                        'stability on ', cast(bootstrap_count as string),
                        ' subsets of ', cast(stability_sample_size as string)
                    )
            end,
            case
                when gap_sample_size is not null
                    then concat(
                        'gap on ', cast(gap_sample_size as string), ' against ',
                        cast(reference_count as string), ' uniform data sets'
                    )
            end
        ) as sampling,
        resampling,
        unfit_reason,
        fingerprint,

        -- measures
        customer_count,
        different_count,
        fit_sample_size,
        silhouette_sample_size,
        stability_sample_size,
        gap_sample_size,
        bootstrap_count,
        reference_count,
        inertia,
        silhouette,
        davies_bouldin,
        calinski_harabasz,
        gap,
        gap_standard_error,
        smallest_share,
        noise_share,
        bootstrap_ari,
        smallest_jaccard,
        jaccard_standard_error,
        fit_seconds,

        -- flags
        is_knee,
        is_rule_choice,
        is_chosen

    from reasoned

)

select * from final
