"""Refuses a Terraform plan that AWS would refuse half-way: reads it as JSON (`terraform show -json`) from standard input.

A failed apply leaves some resources created, and others, such as alarms and subscriptions, missing. Checks that AWS does not answer
are reported as unknown and refuse nothing. Reads by the AWS CLI; changes nothing.
"""

import json
import subprocess
import sys

# Executions that Lambda keeps unreserved (AWS Lambda API reference, PutFunctionConcurrency).
STAYS_UNRESERVED = 100
HTTP_API = 'set webhook_front = "http-api" in infra/terraform.tfvars'
NO_RESERVATION = f"{HTTP_API}, and webhook_reserved_concurrency = -1"
QUOTA = "have the quota raised (aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384)"


class Unknown(Exception):
    """The reason why AWS did not answer a check."""


def aws(region, *arguments):
    """Runs a command of the AWS CLI and returns its answer."""
    try:
        command = ["aws", *arguments, "--region", region, "--output", "json"]
        ran = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise Unknown("the AWS CLI is not installed") from None
    if ran.returncode != 0:
        raise Unknown(" ".join(ran.stderr.split()) or f"aws {' '.join(arguments[:2])} failed")
    return json.loads(ran.stdout)


def changes(plan, kind):
    """The changes of resources of a type: before and after, `{}` if missing."""
    found = [change["change"] for change in plan.get("resource_changes", []) if change["type"] == kind]
    return [(change.get("before") or {}, change.get("after") or {}) for change in found]


def reserved(function):
    """The executions that a function reserves. -1 means none."""
    return max(function.get("reserved_concurrent_executions") or 0, 0)


def concurrency(plan, region):
    """The problem with the plan's reservations, or None."""
    functions = changes(plan, "aws_lambda_function")
    more = sum(reserved(after) for _, after in functions) - sum(reserved(before) for before, _ in functions)
    if more <= 0:
        return None
    limit = aws(region, "lambda", "get-account-settings")["AccountLimit"]
    left = limit["UnreservedConcurrentExecutions"] - more
    if left >= STAYS_UNRESERVED:
        return None
    return (
        f"Lambda would refuse to reserve {more} concurrent executions: this account may run "
        f"{limit['ConcurrentExecutions']} in {region}, {left} would stay unreserved, and AWS insists on "
        f"{STAYS_UNRESERVED}.\n  Remedy: {QUOTA}, or {NO_RESERVATION}."
    )


def principal(identity, region):
    """The ARN of the caller's user or role, for IAM's simulation."""
    arn = identity["Arn"]
    kind, _, rest = arn.split(":", 5)[5].partition("/")
    if kind == "assumed-role":
        # The session's ARN lacks the role's path.
        return aws(region, "iam", "get-role", "--role-name", rest.partition("/")[0])["Role"]["Arn"]
    if kind == "user":
        return arn
    raise Unknown(f"IAM simulates users and roles only, and these credentials belong to {arn}")


def public_url(plan, region):
    """The problem of the plan's public Function URL if an organisation's policy forbids it, or None.

    IAM's simulator evaluates service control policies with their conditions (IAM API reference, SimulatePrincipalPolicy).
    """
    urls = [
        after
        for before, after in changes(plan, "aws_lambda_function_url")
        if after.get("authorization_type") == "NONE" and before.get("authorization_type") != "NONE"
    ]
    if not urls:
        return None
    identity = aws(region, "sts", "get-caller-identity")
    partition = identity["Arn"].split(":")[1]
    name = urls[0].get("function_name") or "*"
    results = aws(
        region, "iam", "simulate-principal-policy",
        "--policy-source-arn", principal(identity, region),
        "--action-names", "lambda:CreateFunctionUrlConfig", "lambda:AddPermission",
        "--resource-arns", f"arn:{partition}:lambda:{region}:{identity['Account']}:function:{name}",
        "--context-entries",
        "ContextKeyName=lambda:FunctionUrlAuthType,ContextKeyValues=NONE,ContextKeyType=string",
        "ContextKeyName=lambda:Principal,ContextKeyValues=*,ContextKeyType=string",
        f"ContextKeyName=aws:RequestedRegion,ContextKeyValues={region},ContextKeyType=string",
    )["EvaluationResults"]
    forbidden = [
        result["EvalActionName"]
        for result in results
        if not result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True)
    ]
    if not forbidden:
        return None
    return (
        f"A policy of your organisation forbids the public Function URL of {name}: {', '.join(forbidden)}.\n"
        f"  Remedy: {HTTP_API}, or have an exception made."
    )


CHECKS = (
    ("whether the reserved concurrency fits into the account's limit", concurrency, NO_RESERVATION),
    ("whether an organisation's policy forbids a public Function URL", public_url, HTTP_API),
)


def main():
    plan = json.load(sys.stdin)
    region = plan["variables"]["region"]["value"]
    refused = []
    for what, check, remedy in CHECKS:
        try:
            problem = check(plan, region)
        except Unknown as why:
            print(f"preflight: unknown {what} ({why}). If the deployment fails for this reason: {remedy}.", file=sys.stderr)
            continue
        refused += [problem] if problem else []
    for problem in refused:
        print(f"preflight: {problem}", file=sys.stderr)
    if refused:
        sys.exit("preflight: failed; nothing was made.")


if __name__ == "__main__":
    main()
