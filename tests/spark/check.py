"""Runs statements on a local Spark and compares their answers: `python check.py <file.json>`.

tests/it/spark.rs writes the file: tables with their rows, scripts that create views on them, and statements with typed parameters and
SQLite's answer to the same statement; and statements that only Delta tables can run, which are parsed. Names have two parts, because a local Spark has one catalog.
"""

import json
import os
import sys
import tempfile
import time
from datetime import date, datetime, timezone

# Spark returns instants in the time zone of this process.
os.environ["TZ"] = "UTC"
time.tzset()

from pyspark.sql import SparkSession, types  # noqa: E402

TYPES = {"string": types.StringType(), "boolean": types.BooleanType(), "timestamp": types.TimestampType()}


def read(value):
    """Parses a value of the file, where an instant is {"at": "2026-11-24T08:00:00Z"} and a day {"day": "2026-11-24"}."""
    if isinstance(value, dict) and "day" in value:
        return date.fromisoformat(value["day"])
    if isinstance(value, dict):
        return datetime.fromisoformat(value["at"].replace("Z", "+00:00")).astimezone(timezone.utc).replace(tzinfo=None)
    return value


def start(folder):
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.catalogImplementation": "in-memory",
        # CREATE TABLE without USING creates a native table, as in Databricks, not a Hive table.
        "spark.sql.legacy.createHiveTableByDefault": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.warehouse.dir": folder,
        "spark.ui.enabled": "false",
    }
    builder = SparkSession.builder.master("local[1]").appName("syncwatch")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def fill(spark, given):
    for database in given["databases"]:
        spark.sql(f"CREATE DATABASE {database}")
    for table in given["tables"]:
        schema = types.StructType([types.StructField(name, TYPES[kind]) for name, kind in table["columns"]])
        rows = [[read(value) for value in row] for row in table["rows"]]
        spark.createDataFrame(rows, schema).write.saveAsTable(table["name"])
    for statement in given["scripts"]:
        spark.sql(statement)


def compare(spark, statement):
    """Returns None if the answers are equal, else a description of the difference."""
    parameters = {name: read(value) for name, value in statement["parameters"].items()}
    try:
        rows = [list(row) for row in spark.sql(statement["sql"], args=parameters).collect()]
    except Exception as error:  # Any failure is reported with its statement.
        return f"fails: {str(error).splitlines()[0]}"
    if statement["expected"] is None:
        return None
    expected = [[read(value) for value in row] for row in statement["expected"]]
    if "ORDER BY" not in statement["sql"]:
        rows, expected = sorted(rows, key=repr), sorted(expected, key=repr)
    return None if rows == expected else f"answers {rows}, and SQLite {expected}"


def parse(spark, sql):
    """Returns None if Spark's parser accepts the statement, else its error."""
    try:
        spark._jsparkSession.sessionState().sqlParser().parsePlan(sql)
    except Exception as error:
        return f"cannot be parsed: {str(error).splitlines()[0]}"
    return None


def main(path):
    with open(path, encoding="utf-8") as file:
        given = json.load(file)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        spark = start(folder)
        fill(spark, given)
        # On in Databricks SQL warehouses, off by default in Spark 3.5.
        for ansi in ("true", "false"):
            spark.conf.set("spark.sql.ansi.enabled", ansi)
            for statement in given["statements"]:
                problem = compare(spark, statement)
                if problem:
                    failed += 1
                    print(f"{statement['label']} (ANSI {ansi}): {problem}\n    {statement['sql']}")
        for sql in given["parsed"]:
            problem = parse(spark, sql)
            if problem:
                failed += 1
                print(f"{problem}\n    {sql}")
        count = len(given["statements"]) + len(given["parsed"])
        print(f"Spark {spark.version}: {count} statements, {failed} differ or fail")
        spark.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
