//! Running a program with its standard streams passed through, byte for byte and of any length.
//! It keeps nothing: what the program writes is written on at once.

use std::time::Duration;

use agentos_protocol::message::{Exec, ExitStatus, Output, Program, Stdin};
use agentos_protocol::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::process_options;
use crate::error::{Error, Result};
use crate::vm::AgentOs;
use crate::{ExecOptions, wire};

const CHUNK: usize = 64 << 10;
/// As in `exec`: extra time for the sidecar to enforce a timeout.
const GRACE: Duration = Duration::from_secs(10);

impl AgentOs {
    /// Runs a program to its end, its standard streams connected to these. A reader that is slow slows the program; input
    /// that the program does not read is not read either; an output whose reader is gone (`EPIPE`) breaks the program's
    /// pipe, as if there were none of us between. Of `options` the environment, working directory and limits count.
    /// Dropping the future kills the program.
    ///
    /// # Errors
    /// As [`AgentOs::exec_argv`]; [`Error::Transport`] when one of the streams fails.
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// let (mut out, mut err) = (Vec::new(), Vec::new());
    /// let status = os.exec_streams(["sort"], Default::default(), &b"b\na\n"[..], &mut out, &mut err).await?;
    /// assert_eq!((status.exit_code, &out[..]), (0, &b"a\nb\n"[..]));
    /// # Ok(()) }
    /// ```
    pub async fn exec_streams<S: Into<String>>(
        &self,
        argv: impl IntoIterator<Item = S>,
        options: ExecOptions,
        stdin: impl AsyncRead + Send + Unpin,
        mut stdout: impl AsyncWrite + Send + Unpin,
        mut stderr: impl AsyncWrite + Send + Unpin,
    ) -> Result<ExitStatus> {
        let argv: Vec<String> = argv.into_iter().map(Into::into).collect();
        if argv.is_empty() {
            return Err(Error::InvalidRequest { message: "argv is empty".to_owned() });
        }
        let link = self.vm.open()?;
        let timeout = options.timeout;
        let process = process_options(
            options.env,
            options.clear_env,
            options.cwd.as_deref(),
            timeout,
            options.cpu_time_limit,
        )?;
        let (out, err, input) = (link.open_recv().await?, link.open_recv().await?, link.open_send().await?);
        let call = Exec {
            vm_id: self.vm.id(),
            program: Program::Argv(argv),
            options: process,
            stdin: Stdin::Stream(input.id()),
            stdout: Output::Live(out.id()),
            stderr: Output::Live(err.id()),
        };
        let pending = link.start(&call).await?;
        let run = async {
            // Input may go on after the program ended; it is not waited for.
            let outputs = async { tokio::try_join!(drain(&out, &mut stdout), drain(&err, &mut stderr)) };
            tokio::pin!(outputs);
            let fed = feed(stdin, &input);
            tokio::pin!(fed);
            tokio::pin!(pending);
            let (mut reply, mut drained, mut feeding) = (None, false, true);
            loop {
                if drained && let Some(reply) = reply.take() {
                    return Ok(reply);
                }
                tokio::select! {
                    done = &mut pending, if reply.is_none() => match done {
                        Ok(done) => reply = Some(done),
                        Err(error) => return Err(link.error(error).await),
                    },
                    done = &mut outputs, if !drained => match done {
                        Ok(_) => drained = true,
                        Err(Failed::Stream(error)) => {
                            // A call that fails resets its streams: its own error says more.
                            if reply.is_none() && let Err(error) = pending.await {
                                return Err(link.error(error).await);
                            }
                            return Err(link.stream_error(error).await);
                        }
                        Err(Failed::Io(error)) => {
                            return Err(Error::Transport { message: format!("write the output: {error}") });
                        }
                    },
                    done = &mut fed, if feeding => match done {
                        Ok(()) => feeding = false,
                        Err(error) => {
                            return Err(Error::Transport { message: format!("read the input: {error}") });
                        }
                    },
                }
            }
        };
        let reply = match timeout {
            None => run.await,
            Some(time) => tokio::select! {
                biased;
                result = run => result,
                () = wire::sleep(time.saturating_add(GRACE))? => {
                    Err(Error::Timeout { operation: "exec".to_owned(), after: Some(time) })
                }
            },
        }?;
        Ok(reply.status)
    }
}

enum Failed {
    Stream(agentos_protocol::mux::StreamError),
    Io(std::io::Error),
}

async fn drain(from: &RecvStream, to: &mut (impl AsyncWrite + Unpin)) -> std::result::Result<(), Failed> {
    while let Some(chunk) = from.next_chunk().await.map_err(Failed::Stream)? {
        let written = async {
            to.write_all(&chunk).await?;
            to.flush().await
        };
        match written.await {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                // Only this stream: the program learns of it when it writes on, and how it ends is its own affair.
                from.close();
                return Ok(());
            }
            Err(error) => return Err(Failed::Io(error)),
        }
    }
    Ok(())
}

async fn feed(mut from: impl AsyncRead + Unpin, to: &SendStream) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = tokio::select! {
            n = from.read(&mut buffer) => n?,
            // The program closed its input: what comes now stays unread.
            _ = to.closed() => return Ok(()),
        };
        if n == 0 {
            to.finish();
            return Ok(());
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            return Ok(());
        }
    }
}
