"""Serves a local Spark as a SQL warehouse of Databricks, as far as the product's client uses it: `python serve.py`.

Prints its port, and ends with its standard input. A local Spark has one catalog, so `crm` is left out of names.
"""

import json
import os
import sys
import tempfile
import threading
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer

from check import read, start  # Sets the zone before Spark is imported.

from pyspark.sql.functions import col  # noqa: E402

READ = {
    "STRING": str,
    "BIGINT": int,
    "DOUBLE": float,
    "BOOLEAN": lambda text: text == "true",
    "DATE": date.fromisoformat,
    "TIMESTAMP": lambda text: read({"at": text}),
}


def parameter(given):
    value = given.get("value")
    return None if value is None else READ.get(given["type"], Decimal)(value)


def run(spark, asked):
    parameters = {given["name"]: parameter(given) for given in asked.get("parameters", [])}
    frame = spark.sql(asked["statement"].replace("`crm`.", ""), args=parameters)
    columns = [
        {"name": field.name, "type_name": field.dataType.simpleString().upper()} for field in frame.schema.fields
    ]
    places = frame.toDF(*[f"c{place}" for place in range(len(columns))])
    rows = [list(row) for row in places.select([col(name).cast("string") for name in places.columns]).collect()]
    return {
        "status": {"state": "SUCCEEDED"},
        "manifest": {"schema": {"columns": columns}, "total_row_count": len(rows)},
        "result": {"data_array": rows},
    }


def answer(spark, asked):
    try:
        return run(spark, asked)
    except Exception as error:  # As Databricks answers to any statement that fails.
        message = str(error).splitlines()[0]
        return {"status": {"state": "FAILED", "error": {"error_code": "BAD_REQUEST", "message": message}}}


def serve(spark):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"statement_id": "one", **answer(spark, asked)}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def end_with_input():
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        threading.Thread(target=end_with_input, daemon=True).start()
        serve(start(folder))
