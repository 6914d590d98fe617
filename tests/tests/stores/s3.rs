//! moto with one bucket, and what somebody else does in it by way of boto3.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::proxy::Proxy;
use crate::server::{Server, program};

/// Runs the scripts that come, one in a line as JSON, and answers each with a line. It lives as long as its test: to load boto3
/// takes longer than most scripts.
const OTHER: &str = r#"
import boto3, contextlib, io, json, sys, traceback
port, key, secret = sys.argv[1:]
where = dict(endpoint_url='http://127.0.0.1:' + port, region_name='us-east-1', aws_access_key_id=key, aws_secret_access_key=secret)
s3 = boto3.client('s3', **where)
def put(key, data): s3.put_object(Bucket='bucket', Key=key, Body=data)
def get(key): return s3.get_object(Bucket='bucket', Key=key)['Body'].read()
def keys(): return [o['Key'] for page in s3.get_paginator('list_objects_v2').paginate(Bucket='bucket') for o in page.get('Contents', [])]
def uploads(): return [u['Key'] for u in s3.list_multipart_uploads(Bucket='bucket').get('Uploads', [])]
for line in sys.stdin:
    out, error = io.StringIO(), ''
    try:
        with contextlib.redirect_stdout(out): exec(json.loads(line), globals())
    except Exception: error = traceback.format_exc()
    print(json.dumps(dict(out=out.getvalue(), error=error)), flush=True)
"#;

pub(crate) struct S3 {
    server: Server,
    key: String,
    secret: String,
    /// Somebody else at the bucket.
    other: RefCell<Option<(Child, ChildStdin, BufReader<ChildStdout>)>>,
}

/// Killed at the end.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl S3 {
    /// Takes every key: asking for the rights of one at each call is slow.
    pub(crate) fn start() -> Self {
        let s3 = S3::new(None);
        s3.python("s3.create_bucket(Bucket='bucket')");
        s3
    }

    /// Checks signatures, and that the key has the right.
    pub(crate) fn start_strict() -> Self {
        // After three calls that make a user and its key, every call is checked.
        let mut s3 = S3::new(Some(3));
        let text = s3.python(
            "iam = boto3.client('iam', **where)\n\
             iam.create_user(UserName='u')\n\
             iam.put_user_policy(UserName='u', PolicyName='p', PolicyDocument='{\"Version\": \"2012-10-17\", \
             \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"*\", \"Resource\": \"*\"}]}')\n\
             key = iam.create_access_key(UserName='u')['AccessKey']\n\
             print(key['AccessKeyId'], key['SecretAccessKey'])",
        );
        let (key, secret) = text.trim().split_once(' ').unwrap();
        (s3.key, s3.secret) = (key.to_owned(), secret.to_owned());
        s3.other.take();
        s3.python("s3.create_bucket(Bucket='bucket')");
        s3
    }

    fn new(unchecked: Option<u32>) -> Self {
        let server = Server::start(|port, folder| {
            let mut command = Command::new(program("moto_server"));
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).current_dir(folder.path());
            if let Some(calls) = unchecked {
                command.env("INITIAL_NO_AUTH_ACTION_COUNT", calls.to_string());
            }
            command
        });
        S3 { server, key: "first".into(), secret: "first".into(), other: RefCell::default() }
    }

    /// Runs a script and gives what it printed. `s3` is the client of boto3, `put(key, bytes)` and `get(key)` are short for
    /// its calls, `keys()` is all there is and `uploads()` what was begun in parts and is not finished.
    pub(crate) fn python(&self, script: &str) -> String {
        let mut other = self.other.borrow_mut();
        let (_, to, from) = other.get_or_insert_with(|| {
            let mut command = Command::new(program("python3"));
            command.args(["-c", OTHER, &self.server.port.to_string(), &self.key, &self.secret]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            (Child(child), to, BufReader::new(from))
        });
        writeln!(to, "{}", json!(script)).unwrap();
        let mut answer = String::new();
        from.read_line(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).expect("it answers");
        assert_eq!(answer["error"], "", "of {script}");
        answer["out"].as_str().unwrap().to_owned()
    }

    /// A mount of `some/where` in the bucket.
    pub(crate) fn config(&self) -> Value {
        self.config_by(self.server.port)
    }

    /// By way of another port.
    fn config_by(&self, port: u16) -> Value {
        json!({
            "bucket": "bucket", "prefix": "some/where", "endpoint": format!("http://127.0.0.1:{port}"),
            "accessKeyId": self.key, "secretAccessKey": self.secret, "timeoutMs": 20_000,
        })
    }

    /// A line to it, and a mount that goes by it.
    pub(crate) fn proxied(&self, timeout_ms: u32) -> (Proxy, Value) {
        let proxy = Proxy::start(self.server.port);
        let mut config = self.config_by(proxy.port);
        config["timeoutMs"] = json!(timeout_ms);
        (proxy, config)
    }
}
