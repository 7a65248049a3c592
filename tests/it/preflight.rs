//! A plan that AWS would refuse half-way is refused before any resource is created. A script replaces the AWS CLI and answers
//! in the form of AWS's own models (Lambda `GetAccountSettings`, STS `GetCallerIdentity`, IAM `SimulatePrincipalPolicy`).

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::tidy::root;

/// An account, as AWS describes it.
struct Account {
    concurrency: u32,
    unreserved: u32,
    /// `None` if the credentials may not simulate policies.
    url_allowed: Option<bool>,
}

const USUAL: Account = Account { concurrency: 1_000, unreserved: 1_000, url_allowed: Some(true) };

impl Account {
    fn cli(&self) -> String {
        let limit = json!({ "AccountLimit": {
            "ConcurrentExecutions": self.concurrency, "UnreservedConcurrentExecutions": self.unreserved,
        } });
        let identity = json!({
            "UserId": "AROA:ada", "Account": "123456789012",
            "Arn": "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123/ada",
        });
        let role = json!({ "Role": {
            "Arn": "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123",
        } });
        let simulated = match self.url_allowed {
            None => {
                "echo 'An error occurred (AccessDenied) when calling SimulatePrincipalPolicy' >&2; exit 254"
                    .to_owned()
            }
            Some(allowed) => {
                let result = json!({ "EvaluationResults": [{
                    "EvalActionName": "lambda:CreateFunctionUrlConfig",
                    "EvalDecision": if allowed { "allowed" } else { "explicitDeny" },
                    "OrganizationsDecisionDetail": { "AllowedByOrganizations": allowed },
                }] });
                // The answer depends on the role's path and the authorization type of the URL.
                format!(
                    "case \"$*\" in *role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123*FunctionUrlAuthType,ContextKeyValues=NONE*) \
                     echo '{result}';; *) echo unexpected >&2; exit 1;; esac"
                )
            }
        };
        format!(
            "#!/bin/sh\ncase \"$1 $2\" in\n'lambda get-account-settings') echo '{limit}';;\n\
             'sts get-caller-identity') echo '{identity}';;\n'iam get-role') echo '{role}';;\n\
             'iam simulate-principal-policy') {simulated};;\n*) echo \"$*\" >&2; exit 1;;\nesac\n"
        )
    }
}

/// Builds a plan in the form of `terraform show -json`: one function before and after, with or without a new URL.
fn plan(before: Option<i32>, after: i32, new_url: bool) -> Value {
    let function = |reserved| json!({ "reserved_concurrent_executions": reserved });
    let mut changes = vec![
        json!({ "type": "aws_lambda_function", "change": { "before": before.map(function), "after": function(after) } }),
        // This function uses the unreserved pool.
        json!({ "type": "aws_lambda_function", "change": { "before": null, "after": function(-1) } }),
        json!({ "type": "aws_sqs_queue", "change": { "before": null, "after": { "name": "q" } } }),
    ];
    if new_url {
        let url = json!({ "authorization_type": "NONE", "function_name": "syncwatch-webhook-intake" });
        changes
            .push(json!({ "type": "aws_lambda_function_url", "change": { "before": null, "after": url } }));
    }
    json!({ "variables": { "region": { "value": "us-west-2" } }, "resource_changes": changes })
}

/// Runs preflight.py on a plan; returns whether it passes, and its report.
fn preflight(account: Option<&Account>, plan: &Value) -> (bool, String) {
    let bin = tempfile::tempdir().unwrap();
    if let Some(account) = account {
        let cli = bin.path().join("aws");
        fs::write(&cli, account.cli()).unwrap();
        fs::set_permissions(&cli, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // Python runs by its path, because a wrapper named python3 could not work without the usual PATH.
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    let mut child = Command::new(String::from_utf8(python.stdout).unwrap().trim())
        .arg(root().join("infra/preflight.py"))
        .env("PATH", bin.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(plan.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn reservation_beyond_the_account_is_refused_with_the_remedy() {
    let small = Account { concurrency: 10, unreserved: 10, ..USUAL };
    let (passes, report) = preflight(Some(&small), &plan(None, 5, false));
    assert!(!passes);
    for part in [
        "reserve 5",
        "may run 10 in us-west-2",
        "5 would stay unreserved",
        "L-B99A9384",
        "http-api",
        "nothing was made",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    let table = [
        // Unreserved so far, reserved before and after the plan => passes.
        (105, None, 5, true),
        (104, None, 5, false),
        // An existing reservation is already subtracted from the unreserved count.
        (100, Some(5), 5, true),
        (100, Some(5), 6, false),
        (10, None, -1, true),
        (10, Some(5), -1, true),
    ];
    for (unreserved, before, after, expected) in table {
        let account = Account { unreserved, ..USUAL };
        let (passes, report) = preflight(Some(&account), &plan(before, after, false));
        assert_eq!(passes, expected, "{unreserved} {before:?} {after}: {report}");
    }
}

#[test]
fn forbidden_public_url_is_refused_with_the_remedy() {
    let strict = Account { url_allowed: Some(false), ..USUAL };
    let (passes, report) = preflight(Some(&strict), &plan(None, 5, true));
    assert!(!passes);
    for part in [
        "policy of your organisation",
        "syncwatch-webhook-intake",
        "lambda:CreateFunctionUrlConfig",
        "http-api",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert_eq!(preflight(Some(&strict), &plan(None, 5, false)), (true, String::new()), "no URL is made");
    assert_eq!(preflight(Some(&USUAL), &plan(None, 5, true)), (true, String::new()));
}

#[test]
fn unknown_answers_are_reported_and_refuse_nothing() {
    let blind = Account { url_allowed: None, ..USUAL };
    let (passes, report) = preflight(Some(&blind), &plan(None, 5, true));
    assert!(
        passes
            && report.contains("unknown whether an organisation's policy")
            && report.contains("AccessDenied"),
        "{report}"
    );
    let (passes, report) = preflight(None, &plan(None, 5, true));
    assert!(passes && report.matches("the AWS CLI is not installed").count() == 2, "{report}");
}
