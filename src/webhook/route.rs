//! The route that a host mounts.

use std::{future::ready, sync::Arc};

use actix_web::{
    HttpRequest,
    dev::{AppService, HttpServiceFactory},
    web,
};

use super::{door::Door, refusal::Refusal};

/// The route at which a bot is sent its updates, to be mounted in an actix-web application: with
/// [`App::service`](actix_web::App::service) or [`Scope::service`](actix_web::Scope::service) as it is, or with
/// [`App::configure`](actix_web::App::configure) by [`config`](Self::config).
///
/// `Clone + Send + Sync`: made once, cloned into the factory of the `HttpServer`, and at home on each of its threads. It
/// takes exactly its [path](super::Webhook::path). After the bot has stopped it answers `503`.
///
/// ```no_run
/// use actix_web::{App, HttpServer, web};
/// use actogram::{Bot, Context, HandlerResult, Webhook};
///
/// #[actix_web::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let (bot, route) = Bot::from_env()
///         .handlers(|| echo)
///         .start_webhook(Webhook::from_env())
///         .await?;
///     let server = HttpServer::new(move || App::new().service(web::scope("/bots").service(route.clone())))
///         .disable_signals()
///         .bind("127.0.0.1:8080")?
///         .run();
///     let host = server.handle();
///     let serving = actix_web::rt::spawn(server);
///     actix_web::rt::signal::ctrl_c().await?;
///     println!("{}", bot.shutdown().await?);
///     host.stop(true).await;
///     serving.await??;
///     Ok(())
/// }
///
/// async fn echo(ctx: Context) -> HandlerResult {
///     if let Some(text) = ctx.text() {
///         ctx.reply(text).await?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct WebhookRoute(Arc<Door>);

impl WebhookRoute {
    pub(super) fn new(door: Door) -> Self {
        Self(Arc::new(door))
    }

    /// Returns what mounts the route, for `configure` of an `App`, a `Scope` or a `ServiceConfig`:
    /// `App::new().configure(route.config())`.
    pub fn config(&self) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + 'static + use<> {
        let route = self.clone();
        move |config| {
            config.service(route);
        }
    }

    /// Returns the path, below the scope it is mounted in.
    pub fn path(&self) -> &str {
        &self.0.path
    }
}

impl HttpServiceFactory for WebhookRoute {
    fn register(self, config: &mut AppService) {
        let (posted, other) = (Arc::clone(&self.0), Arc::clone(&self.0));
        let post = move |request: HttpRequest, body: web::Payload| {
            let door = Arc::clone(&posted);
            async move { door.post(&request, body).await }
        };
        let refuse = move |body: web::Payload| ready(other.turn_away(Refusal::WrongMethod, body));
        web::resource(self.path())
            .route(web::post().to(post))
            .default_service(web::to(refuse))
            .register(config);
    }
}
