{#- What runs a Python model on Spark: dbt's code around it, and the session by the words
    of a DuckDB connection. Takes the place of dbt-spark's, which is for Databricks. -#}
{% macro py_write_table(compiled_code, target_relation) %}
{{ compiled_code }}
from retail_segments.spark_relations import SparkConnection

connection = SparkConnection(spark)
connection.write(model(dbtObj(connection.table), connection), "{{ target_relation }}")
{%- endmacro %}
