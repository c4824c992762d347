"""Methods and commands behind the dbt project. Nothing here imports dbt models."""
