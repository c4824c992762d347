-- One row stub
{{ config(contract={"enforced": false}) }}
select 'kmeans' as algorithm, 5 as k, true as is_chosen, 0.3 as silhouette
