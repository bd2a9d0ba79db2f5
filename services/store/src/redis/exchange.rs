//! One exchange on a connection: commands, and a reply to each.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Arg, Pipeline, Value};
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;

/// The result of each command of a pipeline.
pub(super) type Replies = Vec<Result<Value, Failure>>;

/// Sends commands and receives their replies.
pub(super) async fn exchange(
    connection: &mut MultiplexedConnection,
    commands: &Pipeline,
    asking: bool,
    deadline: Instant,
) -> Result<Replies, Failure> {
    let mut prefixed = redis::pipe();
    let sent = if asking {
        // ASKING applies only to the command that follows.
        for command in commands.cmd_iter() {
            prefixed.cmd("ASKING").add_command(command.clone());
        }
        &prefixed
    } else {
        commands
    };
    let replies = connection.req_packed_commands(sent, 0, sent.len());
    let Ok(replies) = timeout_at(deadline, replies).await else { return Err(Failure::ReplyLost) };
    let replies = replies.map_err(Failure::of)?.into_iter();
    let replies = replies.skip(usize::from(asking)).step_by(1 + usize::from(asking));
    Ok(replies.map(|reply| reply.extract_error().map_err(Failure::of)).collect())
}

/// The replies, unless one of them is a failure of the whole connection.
pub(super) fn fail_if_broken(mut replies: Replies) -> Result<Replies, Failure> {
    match replies.iter().position(ends_connection) {
        None => Ok(replies),
        Some(index) => Err(replies.swap_remove(index).expect_err("the reply found is a failure")),
    }
}

/// The name of a command, or of several together (semantic conventions of OpenTelemetry for databases).
pub(super) fn operation(commands: &Pipeline) -> String {
    let mut names = commands.cmd_iter().map(|command| match command.args_iter().next() {
        Some(Arg::Simple(name)) => String::from_utf8_lossy(name).to_ascii_uppercase(),
        _ => String::new(),
    });
    let first = names.next().unwrap_or_default();
    if names.next().is_none() { first } else { "PIPELINE".to_owned() }
}

/// Whether a reply is a failure after which the connection is closed.
pub(super) fn ends_connection(reply: &Result<Value, Failure>) -> bool {
    reply.as_ref().is_err_and(Failure::ends_connection)
}
