//! Which route takes an update.

use std::rc::Rc;

use super::{
    command_route::CommandRoute,
    endpoint::Endpoint,
    middleware::{Next, Step},
    routes::Routes,
};
use crate::{
    Context,
    extract::{
        Data, DataMap, MatchedPrefix,
        command_text::{CommandText, command_of},
    },
    update::{DecodeError, UpdateKind},
};

pub(super) type Predicate = Rc<dyn Fn(&Context) -> bool>;

/// What a route takes.
#[derive(Clone)]
pub(super) enum Matcher {
    Command(CommandRoute),
    AnyCommand,
    Text,
    Callback(Rc<str>),
    Kind(UpdateKind),
    Filter(Predicate),
    Undecodable,
}

#[derive(Clone)]
pub(super) enum Route {
    Handler(Matcher, Rc<dyn Endpoint>),
    Scope(Routes),
}

/// The name of the bot must be known to tell whether a command is meant for it.
pub(super) struct NameNeeded;

/// An update that looks for its route. It is decoded by the first route that has to look inside.
struct Candidate<'c> {
    username: Option<&'c str>,
}

/// Returns the way to the handler that takes an update, or `None` when none does.
pub(super) fn find(
    routes: &Routes,
    context: &Context,
    username: Option<&str>,
) -> Result<Option<Next>, NameNeeded> {
    let candidate = Candidate { username };
    candidate.find_in(routes, &context.for_routing(), &mut Vec::new())
}

impl Candidate<'_> {
    fn find_in(
        &self,
        routes: &Routes,
        context: &Context,
        steps: &mut Vec<Step>,
    ) -> Result<Option<Next>, NameNeeded> {
        let context = context.within(&context.layers().with_layer(&routes.data));
        if !routes.guards.iter().all(|guard| guard(&context)) {
            return Ok(None);
        }
        let outside = steps.len();
        steps.push(Step::Enter(routes.data.clone()));
        // As in actix-web, what was registered last runs first.
        steps.extend(routes.middleware.iter().rev().cloned().map(Step::Wrap));
        for route in &routes.routes {
            match route {
                Route::Scope(scope) => {
                    if let Some(next) = self.find_in(scope, &context, steps)? {
                        return Ok(Some(next));
                    }
                }
                Route::Handler(matcher, endpoint) if self.is_taken_by(matcher, &context)? => {
                    if let Matcher::Callback(prefix) = matcher {
                        steps.push(Step::Enter(prefix_data(prefix).into()));
                    }
                    return Ok(Some(Next::new(std::mem::take(steps), Rc::clone(endpoint))));
                }
                Route::Handler(..) => {}
            }
        }
        if let Some(endpoint) = &routes.default {
            return Ok(Some(Next::new(std::mem::take(steps), Rc::clone(endpoint))));
        }
        steps.truncate(outside);
        Ok(None)
    }

    fn is_taken_by(&self, matcher: &Matcher, context: &Context) -> Result<bool, NameNeeded> {
        let kind = context.update().kind();
        Ok(match matcher {
            Matcher::Command(route) => match command_in(context, &route.kinds) {
                Some(command) if route.is_meant_by(&command) => self.is_ours(&command)?,
                _ => false,
            },
            Matcher::AnyCommand => match command_in(context, &[UpdateKind::Message]) {
                Some(command) => self.is_ours(&command)?,
                None => false,
            },
            Matcher::Text => kind == UpdateKind::Message && context.text().is_some(),
            Matcher::Callback(prefix) => context
                .callback_query()
                .and_then(|query| query.data.as_deref())
                .is_some_and(|data| data.starts_with(&**prefix)),
            Matcher::Kind(wanted) => kind == *wanted,
            Matcher::Filter(holds) => holds(context),
            Matcher::Undecodable => is_undecodable(context),
        })
    }

    fn is_ours(&self, command: &CommandText<'_>) -> Result<bool, NameNeeded> {
        match (command.addressee, self.username) {
            (None, _) => Ok(true),
            (Some(_), None) => Err(NameNeeded),
            (Some(_), Some(username)) => Ok(command.is_for(username)),
        }
    }
}

/// Returns the command in a message of one of these kinds. What cannot be decoded is none; a raw handler may take it.
fn command_in<'c>(context: &'c Context, kinds: &[UpdateKind]) -> Option<CommandText<'c>> {
    if !kinds.contains(&context.update().kind()) {
        return None;
    }
    context.decoded_message().ok().flatten().and_then(command_of)
}

fn prefix_data(prefix: &str) -> DataMap {
    let mut data = DataMap::default();
    data.insert(Data::new(MatchedPrefix(prefix.len())));
    data
}

/// Returns whether the typed model does not know the kind or the shape of an update.
fn is_undecodable(context: &Context) -> bool {
    let error = if let Err(error) = context.decoded_message() {
        Some(error)
    } else if let Err(error) = context.decoded_callback_query() {
        Some(error)
    } else if let (Ok(None), Ok(None)) = (context.decoded_message(), context.decoded_callback_query()) {
        context.content().err()
    } else {
        None
    };
    matches!(
        error,
        Some(DecodeError::UnknownKind { .. } | DecodeError::Mismatch { .. })
    )
}
