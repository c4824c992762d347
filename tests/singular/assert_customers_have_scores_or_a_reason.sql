-- A customer has all three scores, their code and a name, or a reason why not.

select
    customer_id,
    snapshot_date,
    rfm_code,
    unscored_reason

from {{ ref('fct_customer_rfm') }}

where
    (unscored_reason is null) != (r_score is not null)
    or (unscored_reason is null) != (f_score is not null)
    or (unscored_reason is null) != (m_score is not null)
    or (unscored_reason is null) != (rfm_segment is not null)
    or (unscored_reason is null) != (rfm_code is not null)
    or rfm_code != cast(100 * r_score + 10 * f_score + m_score as string)
