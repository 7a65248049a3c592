"""Computes the monthly cost of Syncwatch from functions.json and the published prices in prices.json.

Writes the table of infra/README.md and prints the assumptions; with --check it only compares the table.
"""

import json
import pathlib
import re
import sys

INFRA = pathlib.Path(__file__).resolve().parent
# The lines of README.md between which the tables are written.
COST = ("<!-- cost: written by `make cost` -->\n", "<!-- cost: end -->\n")
FLOOD = ("<!-- flood: written by `make cost` -->\n", "<!-- flood: end -->\n")
# Fixed costs, independent of use.
FIXED = ("secrets", "kms_keys", "alarms", "metrics", "dashboards")


def rounds_a_day(expression):
    """How often a schedule fires per day: rates by their unit, cron once for each listed minute and hour, daily or on Mondays."""
    if rate := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression):
        return {"minute": 1440, "hour": 24, "day": 1}[rate[2]] / int(rate[1])
    at = re.fullmatch(r"cron\(([\d,]+) ([\d,]+) (\* \* \?|\? \* MON) \*\)", expression)
    if not at:
        sys.exit(f"error: unsupported schedule {expression}\nhint: extend rounds_a_day in infra/cost.py")
    return len(at[1].split(",")) * len(at[2].split(",")) / (7 if "MON" in at[3] else 1)


def amounts(table, assumptions):
    """The monthly amount of each priced item."""
    assume = {name: value["is"] if isinstance(value, dict) else value for name, value in assumptions.items()}
    days = assume["days"]
    functions, resources = table["functions"], table["resources"]
    scheduled = {name: function for name, function in functions.items() if "schedule" in function}
    queues = {name: queue for name, queue in resources.items() if name.startswith("queue:")}
    dead_letters = {queue["dead_letter"] for queue in queues.values() if "dead_letter" in queue}
    topics = [name for name in resources if name.startswith("topic:")]

    def firings(schedule):
        return [schedule["expression"], *(also["expression"] for also in schedule.get("also", {}).values())]

    rounds = {name: sum(map(rounds_a_day, firings(function["schedule"]))) * days for name, function in scheduled.items()}
    webhooks = assume["sync_runs_a_day"] * assume["webhooks_a_run"] * days
    notices = assume["incidents_a_month"] * assume["notices_an_incident"]

    def seconds(name):
        nightly = functions[name]["schedule"]["expression"].startswith("cron(")
        return rounds[name] * assume["seconds_a_nightly_round" if nightly else "seconds_a_round"]

    def gigabytes(name):
        return functions[name]["memory_mb"] / 1024

    usual = max(gigabytes(name) for name in functions)
    every_round = sum(rounds.values())
    # A webhook is two invocations and one message; a notice is one message and two invocations, of the relay and of the page.
    events = 2 * webhooks + 2 * notices
    pages = rounds["status-page"] + notices
    return {
        "lambda_requests": every_round + events,
        "lambda_gb_seconds": sum(seconds(name) * gigabytes(name) for name in scheduled)
        + (webhooks * assume["seconds_a_webhook"] + notices * (1 + assume["seconds_a_round"])) * usual,
        "scheduler_invocations": every_round,
        "sqs_requests": sum("queue" in function for function in functions.values()) * assume["polls_a_queue_a_day"] * days
        + 3 * (webhooks + notices)
        # Each round reads the depth of each dead-letter queue.
        + every_round * len(dead_letters),
        # Each round reads the subscribers and the tag of each topic.
        "sns_publishes": notices + 2 * len(topics) * rounds["schedule-verification"],
        "sns_emails": notices * assume["mail_recipients"],
        "dynamodb_reads": (every_round + webhooks) * assume["reads_a_round"],
        "dynamodb_writes": (every_round + webhooks) * assume["writes_a_round"],
        "dynamodb_recovery_gb": assume["recovery_gb"],
        # With both channels, and without a heartbeat.
        "secrets": sum(name.startswith("secret:") and name != "secret:heartbeat" for name in resources),
        # The files of the page.
        "s3_puts": pages * assume["files_a_page"],
        # The version of each, and the kept figures.
        "s3_gets": pages * (assume["files_a_page"] + 1),
        "secrets_requests": assume["secret_reads_a_day"] * days,
        "kms_keys": 1,
        "kms_requests": 2 * notices,
        # Metrics of alarms: errors, throttles and duration; silence; rounds and refused webhooks; depth, including Terraform's three
        # queues; stale, with two metrics each; undelivered.
        "alarms": 3 * len(functions)
        + len(scheduled)
        + 2
        + len(dead_letters)
        + 3
        + 2 * (len(queues) - len(dead_letters))
        + len(topics),
        "metrics": assume["metrics"],
        "dashboards": 1,
        "logs_gb": (every_round + events) * assume["log_kb_a_round"] / 1e6,
    }


def flood(table, prices):
    """The cost of a month of requests to the public address at the full rate of its reserved concurrency."""
    assume = {name: value["is"] if isinstance(value, dict) else value for name, value in prices["assumptions"].items()}
    [function] = [function for function in table["functions"].values() if "url" in function]
    executions = function["url"]["reserved_concurrency"]
    seconds = assume["days"] * 24 * 60 * 60
    requests = executions * assume["requests_a_second_an_execution"] * seconds
    needed = {
        "lambda_requests": requests,
        "lambda_gb_seconds": executions * seconds * function["memory_mb"] / 1024,
        "logs_gb": (requests * assume["log_kb_a_request"] + executions * seconds * assume["log_kb_a_refusal"]) / 1e6,
    }
    total = sum(usd(prices["prices"][name], amount) for name, amount in needed.items())
    return (
        f"A whole month of constant requests, {executions * assume['requests_a_second_an_execution']} per second: "
        f"{requests / 1e6:.0f} million requests, {needed['lambda_gb_seconds'] / 1e6:.1f} million GB-s at most, "
        f"{needed['logs_gb']:.0f} GB of logs: **{total:.0f} USD** at most.\n"
    )


def usd(price, amount):
    return max(amount - price["free"], 0) / price["per"] * price["usd"]


def render(table, prices):
    needed = amounts(table, prices["assumptions"])
    lines = ["| item | per month | free | USD |", "| --- | ---: | ---: | ---: |"]
    totals = {True: 0.0, False: 0.0}
    for fixed in (False, True):
        for name, price in prices["prices"].items():
            if (name in FIXED) != fixed:
                continue
            cost = usd(price, needed[name])
            totals[fixed] += cost
            amount = needed[name]
            shown = f"{amount:,.0f}" if amount >= 1 else f"{amount:.2f}"
            lines.append(f"| {price['unit']} | {shown} | {price['free']:,} | {cost:.2f} |")
        lines.append(f"| **{'fixed' if fixed else 'by use'}** | | | **{totals[fixed]:.2f}** |")
    lines.append(f"| **total** | | | **{sum(totals.values()):.2f}** |")
    return "\n".join(lines) + "\n"


def put(readme, marks, text):
    """The README with the text between its markers replaced."""
    before, begin, rest = readme.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not end:
        sys.exit(f"error: infra/README.md lacks the markers {marks[0].strip()} and {marks[1].strip()}")
    return before + begin + text + end + after


def main():
    table = json.loads((INFRA / "functions.json").read_text())
    prices = json.loads((INFRA / "prices.json").read_text())
    path = INFRA / "README.md"
    readme = path.read_text()
    written = put(put(readme, COST, render(table, prices)), FLOOD, flood(table, prices))
    if "--check" in sys.argv:
        if written != readme:
            sys.exit("error: the costs in infra/README.md are outdated\nhint: make cost")
        return
    path.write_text(written)
    print(render(table, prices) + "\n" + flood(table, prices))
    for name, assumed in prices["assumptions"].items():
        if isinstance(assumed, dict):
            print(f"{name} = {assumed['is']}: {assumed['why']}")


if __name__ == "__main__":
    main()
