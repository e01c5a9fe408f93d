//! `/control/<command>`: parameters as a JSON object in the body, or in the query.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::web::{Bytes, Data, Path, PayloadConfig, Query};
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Map, Value, json};

use super::command::Addressed;
use super::run::run;
use crate::shared::Shared;

/// The largest command.
const MAX_BODY_BYTES: usize = 64 << 20;

/// Starts the control API on a bound listener.
pub(crate) fn start(listener: TcpListener, shared: Arc<Shared>) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::from(shared.clone()))
            .app_data(PayloadConfig::new(MAX_BODY_BYTES))
            .route("/control/{command}", web::to(command))
    })
    .workers(1)
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
}

async fn command(
    name: Path<String>,
    query: Query<Vec<(String, String)>>,
    body: Bytes,
    shared: Data<Shared>,
) -> HttpResponse {
    let mut parameters = match parameters(&query, &body) {
        Ok(parameters) => parameters,
        Err(error) => return refused(&error),
    };
    parameters.insert("command".to_owned(), Value::String(name.into_inner()));
    let addressed = match serde_json::from_value::<Addressed>(Value::Object(parameters)) {
        Ok(addressed) => addressed,
        Err(error) => return refused(&error),
    };
    match run(&shared.into_inner(), addressed).await {
        Ok(result) => HttpResponse::Ok().json(result),
        Err(error) => refused(&error),
    }
}

fn parameters(query: &[(String, String)], body: &[u8]) -> serde_json::Result<Map<String, Value>> {
    let mut parameters: Map<String, Value> = if body.trim_ascii().is_empty() {
        Map::new()
    } else {
        serde_json::from_slice(body)?
    };
    for (name, text) in query {
        let value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        parameters.insert(name.clone(), value);
    }
    Ok(parameters)
}

fn refused(error: &dyn std::fmt::Display) -> HttpResponse {
    HttpResponse::BadRequest().json(json!({"error": error.to_string()}))
}
