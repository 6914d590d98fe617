//! moto with one bucket, and what somebody else does in it by way of boto3.

use std::process::Command;

use serde_json::{Value, json};

use crate::server::{Server, program};

pub(crate) struct S3 {
    server: Server,
    key: String,
    secret: String,
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
        S3 { server, key: "first".into(), secret: "first".into() }
    }

    /// Runs a script and gives what it printed. `s3` is the client of boto3, `put(key, bytes)` and `get(key)` are short for
    /// its calls, `keys()` is all there is and `uploads()` what was begun in parts and is not finished.
    pub(crate) fn python(&self, script: &str) -> String {
        let begin = format!(
            "import boto3\n\
             where = dict(endpoint_url='http://127.0.0.1:{}', region_name='us-east-1', \
             aws_access_key_id='{}', aws_secret_access_key='{}')\n\
             s3 = boto3.client('s3', **where)\n\
             def put(key, data): s3.put_object(Bucket='bucket', Key=key, Body=data)\n\
             def get(key): return s3.get_object(Bucket='bucket', Key=key)['Body'].read()\n\
             def keys(): return [o['Key'] for page in s3.get_paginator('list_objects_v2').paginate(Bucket='bucket') \
             for o in page.get('Contents', [])]\n\
             def uploads(): return [u['Key'] for u in s3.list_multipart_uploads(Bucket='bucket').get('Uploads', [])]\n",
            self.server.port, self.key, self.secret
        );
        let output = Command::new(program("python3")).args(["-c", &(begin + script)]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn config(&self) -> Value {
        json!({
            "bucket": "bucket", "prefix": "some/where", "endpoint": format!("http://127.0.0.1:{}", self.server.port),
            "accessKeyId": self.key, "secretAccessKey": self.secret, "timeoutMs": 20_000,
        })
    }
}
