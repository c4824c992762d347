-- The newest refit, if it moves more customers than the var cluster_drift_limit and
-- nobody has accepted that. Segments stay those of the last model until then.

with

models as (

    select
        model_id,
        previous_model_id,
        model_version,
        moved_share,
        is_accepted

    from {{ ref('dim_cluster_models') }}

),

promotion as (

    select
        to_model_id,
        sum(case when is_move then customer_count else 0 end) as moved_customer_count

    from {{ ref('rpt_cluster_promotion') }}

    group by to_model_id

),

newest as (

    select max(model_version) as model_version

    from models

)

select
    models.model_id,
    models.previous_model_id,
    models.moved_share,
    promotion.moved_customer_count

from models

inner join newest
    on models.model_version = newest.model_version

left outer join promotion
    on models.model_id = promotion.to_model_id

where
    not models.is_accepted
    -- Who keeps the last model on purpose has decided already.
    and '{{ var("cluster_model") }}' = 'refit'
