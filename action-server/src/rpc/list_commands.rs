//! ListCommands: the commands that the caller may see, as their admin describes them.

use action_proto::v1::{Command, ExitState, ListCommandsRequest, ListCommandsResponse};
use tonic::{Request, Response, Status};

use super::{
    FEATURES, GrpcService,
    page::{LIST, page},
};
use crate::catalogue::{self, DEFAULT_RANK};

pub(super) fn list_commands(
    service: &GrpcService,
    request: &Request<ListCommandsRequest>,
) -> Result<Response<ListCommandsResponse>, Status> {
    let access = service.doors.access_of(service.doors.caller(request)?);
    let commands = access.catalogue().commands.values();
    let commands: Vec<_> = commands
        .filter(|command| access.lists_command(&command.name))
        .collect();
    let request = request.get_ref();
    let (commands, next_page_token) = page(
        &commands,
        |command| &command.name,
        |command| describe_command(command),
        request.page_size,
        &request.page_token,
        &LIST,
    )?;
    Ok(Response::new(ListCommandsResponse {
        commands,
        next_page_token,
        features: FEATURES.map(str::to_owned).into(),
    }))
}

fn describe_command(command: &catalogue::Command) -> Command {
    let answer = |(code, state): (&i32, &String)| ExitState {
        code: *code,
        state: state.clone(),
    };
    let ranks = command.scripts.keys().filter(|rank| *rank != DEFAULT_RANK);
    Command {
        name: command.name.clone(),
        summary: command.help.summary.clone(),
        description: command.description().to_owned(),
        syntax: command.help.syntax.clone().unwrap_or_default(),
        has_context: command.help.has_context,
        confirmation: command
            .confirmation
            .as_ref()
            .map(|text| text.as_written().to_owned())
            .unwrap_or_default(),
        timeout: prost_types::Duration::try_from(command.timeout).ok(),
        fanout: command.fanout,
        ranks: ranks.cloned().collect(),
        exit_codes: command.exit_codes.iter().map(answer).collect(),
    }
}
