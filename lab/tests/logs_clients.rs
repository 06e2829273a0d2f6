//! AWS's own clients against CloudWatch Logs: behind the lab's front door, and by itself with their signatures checked.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod endpoint;
mod python_clients;

use endpoint::Endpoint;
use lab::logs::{self, Kind, Script, When};
use python_clients::Clients;
use serde_json::{Value as Json, json};

/// The environment of clients of an endpoint by itself, and the secret key that they sign with.
fn env(endpoint: &logs::Endpoint, secret_key: &str) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", &*endpoint.url()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", secret_key),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

#[tokio::test]
async fn the_front_door_keeps_the_services_limits() {
    let endpoint = Endpoint::start().await;
    let seen = endpoint
        .boto3(
            "import time\n\
             logs = boto3.client('logs')\n\
             here = dict(logGroupName='app', logStreamName='host')\n\
             missing = code(logs.put_log_events, logEvents=[dict(timestamp=1, message='x')], **here)\n\
             logs.create_log_group(logGroupName='app')\n\
             logs.create_log_stream(**here)\n\
             now = int(time.time() * 1000)\n\
             events = [dict(timestamp=now + n, message=f'line {n} \\u00fc') for n in range(1000)]\n\
             logs.put_log_events(logEvents=events, **here)\n\
             got = logs.get_log_events(startFromHead=True, **here)['events']\n\
             old = logs.put_log_events(logEvents=[dict(timestamp=now - 15 * 86400000, message='old'), events[0]], **here)\n\
             show([missing, len(got), got[0]['timestamp'] - now, got[-1]['message'],\n    \
             code(logs.put_log_events, logEvents=[events[1], events[0]], **here),\n    \
             code(logs.put_log_events, logEvents=[dict(timestamp=now, message='x' * 1048576)], **here),\n    \
             old['rejectedLogEventsInfo'], code(logs.create_log_group, logGroupName='app')])",
        )
        .await;
    let expected = json!([
        "ResourceNotFoundException",
        1000,
        0,
        "line 999 ü",
        "InvalidParameterException",
        "InvalidParameterException",
        {"tooOldLogEventEndIndex": 1},
        "ResourceAlreadyExistsException",
    ]);
    assert_eq!(seen, expected);
    assert_eq!(endpoint.requests()["logs:PutLogEvents"], 5);
    let refused = endpoint.aws(&["logs", "describe-query-definitions"]).await;
    let error = refused.unwrap_err();
    assert!(
        error.contains("(UnknownOperationException)") && error.contains("DescribeQueryDefinitions"),
        "{error}"
    );
}

#[tokio::test]
async fn regions_have_their_own_groups() {
    let endpoint = Endpoint::start().await;
    let seen = endpoint
        .boto3(
            "def names(region):\n    \
             groups = boto3.client('logs', region_name=region).describe_log_groups()['logGroups']\n    \
             return [group['arn'] for group in groups]\n\
             boto3.client('logs', region_name='eu-west-1').create_log_group(logGroupName='app')\n\
             show([names('us-east-1'), names('eu-west-1')])",
        )
        .await;
    let arn = "arn:aws:logs:eu-west-1:123456789012:log-group:app:*";
    assert_eq!(seen, json!([[], [arn]]));
}

#[tokio::test]
async fn boto3_and_the_cli_are_let_in_by_their_signature_and_page_through_everything() {
    let endpoint = logs::Endpoint::start(logs::Config::default()).unwrap();
    let clients = Clients::start(&env(&endpoint, "test")).await;
    let seen = clients
        .boto3(
            "import time\n\
             logs = boto3.client('logs')\n\
             logs.create_log_group(logGroupName='/app/x', tags={'team': 'a b'}, logGroupClass='STANDARD')\n\
             logs.put_retention_policy(logGroupName='/app/x', retentionInDays=14)\n\
             for name in ('a', 'b'):\n    \
             logs.create_log_stream(logGroupName='/app/x', logStreamName=name)\n\
             now = int(time.time() * 1000)\n\
             for name in ('a', 'b'):\n    \
             logs.put_log_events(logGroupName='/app/x', logStreamName=name, logEvents=[\n        \
             dict(timestamp=now + n, message=f'{name} {n}') for n in range(50)])\n\
             pages = logs.get_paginator('filter_log_events').paginate(\n    \
             logGroupName='/app/x', filterPattern='-7', PaginationConfig={'PageSize': 20})\n\
             found = [event['message'] for page in pages for event in page['events']]\n\
             group = logs.describe_log_groups(logGroupNamePrefix='/app')['logGroups'][0]\n\
             streams = logs.describe_log_streams(logGroupName='/app/x', orderBy='LastEventTime')['logStreams']\n\
             tags = logs.list_tags_for_resource(resourceArn=group['logGroupArn'])['tags']\n\
             got, token = [], None\n\
             while True:\n    \
             page = logs.get_log_events(logGroupName='/app/x', logStreamName='a', limit=20, startFromHead=True,\n        \
             **({'nextToken': token} if token else {}))\n    \
             got += [event['message'] for event in page['events']]\n    \
             if page['nextForwardToken'] == token:\n        break\n    \
             token = page['nextForwardToken']\n\
             show([len(found), found[:3], group['retentionInDays'], group['logGroupClass'], tags,\n    \
             [stream['lastEventTimestamp'] - now for stream in streams], got])",
        )
        .await;
    let all: Vec<String> = (0..50).map(|n| format!("a {n}")).collect();
    let expected = json!([
        90, ["a 0", "b 0", "a 1"], 14, "STANDARD", {"team": "a b"}, [49, 49], all
    ]);
    assert_eq!(seen, expected);
    let events = ["logs", "get-log-events", "--log-group-name", "/app/x"];
    let more = [
        "--log-stream-name",
        "a",
        "--start-from-head",
        "--limit",
        "1",
    ];
    let got = clients.aws(&[&events[..], &more].concat()).await.unwrap();
    assert_eq!(got["events"][0]["message"], "a 0");

    let stranger = Clients::start(&env(&endpoint, "wrong")).await;
    let refused = stranger.aws(&["logs", "describe-log-groups"]).await;
    let error = refused.unwrap_err();
    assert!(error.contains("(InvalidSignatureException)"), "{error}");
}

#[tokio::test]
async fn boto3_retries_what_aws_would_have_it_retry() {
    let endpoint = logs::Endpoint::start(logs::Config::default()).unwrap();
    let clients = Clients::start(&env(&endpoint, "test")).await;
    let faults = [
        (When::Nth(1), Kind::Throttle),
        (
            When::Nth(2),
            Kind::Fail {
                status: 500,
                taken: true,
            },
        ),
    ];
    endpoint.set_faults(Script::put_log_events(faults));
    clients
        .boto3(
            "import time\n\
             logs = boto3.client('logs')\n\
             logs.create_log_group(logGroupName='g')\n\
             logs.create_log_stream(logGroupName='g', logStreamName='s')\n\
             logs.put_log_events(logGroupName='g', logStreamName='s', logEvents=[\n    \
             dict(timestamp=int(time.time() * 1000), message='once, says the client')])\n\
             show(0)",
        )
        .await;
    // What boto3 repeats after a lost answer is there twice: the fault is real.
    assert_eq!(endpoint.messages("g", "s").len(), 2);
    assert_eq!(endpoint.faults_met(), [1, 1]);
    let errors: Vec<Json> = endpoint
        .journal()
        .iter()
        .map(|note| json!(note.fault))
        .collect();
    assert_eq!(errors[2..], [json!("throttle"), json!("fail"), json!(null)]);
}
