{#- SQL models are created as dbt-spark does. A Python model gets the session by the words
    of a DuckDB connection; dbt-spark's own way is for Databricks. -#}
{% macro spark__create_table_as(temporary, relation, compiled_code, language="sql") -%}

{%- if language == "python" and has_session() %}
{{ compiled_code }}
from retail_segments.spark_relations import SparkConnection

connection = SparkConnection(spark)
connection.write(model(dbtObj(connection.table), connection), "{{ relation }}")
{%- else -%}
    {{ dbt.spark__create_table_as(temporary, relation, compiled_code, language) }}
{%- endif -%}

{%- endmacro %}
