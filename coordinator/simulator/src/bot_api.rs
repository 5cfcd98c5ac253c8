//! The Bot API: `/bot<TOKEN>/<Method>`, with Telegram's refusals in Telegram's words.

mod messages;
mod updates;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};

use crate::Simulator;
use crate::faults::{self, Kind};
use crate::params::Params;

/// Why a call is refused, as Telegram says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `error_code` and HTTP status.
    pub code: u16,
    /// `description`.
    pub description: String,
    /// `parameters.retry_after`, in seconds.
    pub retry_after: Option<u32>,
}

impl Refusal {
    /// `400 Bad Request: …`.
    pub fn bad(description: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Bad Request: {description}"))
    }

    pub(crate) fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), retry_after: None }
    }

    pub(crate) fn too_many(retry_after: u32) -> Self {
        Self {
            code: 429,
            description: format!("Too Many Requests: retry after {retry_after}"),
            retry_after: Some(retry_after),
        }
    }
}

pub(crate) fn routes() -> Router<Simulator> {
    Router::new().route("/{bot}/{method}", any(call))
}

async fn call(
    Shared(simulator): Shared<Simulator>,
    Path((bot, method)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if bot.strip_prefix("bot") != Some(&*simulator.token) {
        return answer(&simulator, Err(Refusal::new(401, "Unauthorized")));
    }
    let method = method.to_ascii_lowercase();
    let fault = simulator.change(|state| {
        *state.calls.entry(method.clone()).or_default() += 1;
        faults::take(&mut state.faults, &method)
    });
    match fault.as_ref().map(|fault| fault.fault) {
        Some(Kind::TooManyRequests) => {
            let seconds = fault.map_or(1, |fault| fault.retry_after);
            return answer(&simulator, Err(Refusal::too_many(seconds)));
        }
        Some(Kind::Internal) => {
            return answer(&simulator, Err(Refusal::new(500, "Internal Server Error")));
        }
        Some(Kind::Blocked) => {
            let blocked = Refusal::new(403, "Forbidden: bot was blocked by the user");
            return answer(&simulator, Err(blocked));
        }
        Some(Kind::Drop) => return broken(),
        Some(Kind::Delay) => {
            let wait = fault.as_ref().map_or(0, |fault| fault.delay_ms);
            tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
        }
        Some(Kind::ApplyThenDrop) | None => {}
    }
    let result = match Params::read(query.as_deref().unwrap_or(""), &headers, &body) {
        Ok(params) => dispatch(&simulator, &method, &params).await,
        Err(refusal) => Err(refusal),
    };
    if fault.is_some_and(|fault| fault.fault == Kind::ApplyThenDrop) {
        return broken();
    }
    answer(&simulator, result)
}

async fn dispatch(simulator: &Simulator, method: &str, params: &Params) -> Result<Value, Refusal> {
    match method {
        "getme" => Ok(simulator.lock().bot()),
        "getupdates" => updates::get_updates(simulator, params).await,
        "setwebhook" => updates::set_webhook(simulator, params),
        "deletewebhook" => Ok(updates::delete_webhook(simulator, params)),
        "getwebhookinfo" => Ok(updates::webhook_info(simulator)),
        "sendmessage" => messages::send(simulator, params),
        "editmessagetext" => messages::edit_text(simulator, params),
        "editmessagereplymarkup" => messages::edit_markup(simulator, params),
        "deletemessage" => messages::delete(simulator, params),
        "answercallbackquery" => messages::answer_callback(simulator, params),
        "sendchataction" => messages::chat_action(simulator, params),
        "setmycommands" => messages::set_commands(simulator, params),
        "getmycommands" => Ok(simulator.lock().commands.clone()),
        "deletemycommands" => {
            simulator.change(|state| state.commands = json!([]));
            Ok(true.into())
        }
        "logout" | "close" => Ok(true.into()),
        _ => Err(Refusal::new(404, "Not Found")),
    }
}

fn answer(simulator: &Simulator, result: Result<Value, Refusal>) -> Response {
    let (code, body) = match result {
        Ok(result) => (200, json!({"ok": true, "result": result})),
        Err(refusal) => {
            *simulator.lock().errors.entry(refusal.code).or_default() += 1;
            let mut body = json!({
                "ok": false, "error_code": refusal.code, "description": refusal.description,
            });
            if let (Some(seconds), Some(fields)) = (refusal.retry_after, body.as_object_mut()) {
                fields.insert("parameters".to_owned(), json!({"retry_after": seconds}));
            }
            (refusal.code, body)
        }
    };
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Promises a body and breaks off: the caller's connection fails without an answer.
fn broken() -> Response {
    let lost = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("dropped")) });
    let mut response = Response::new(Body::from_stream(lost));
    response.headers_mut().insert(header::CONTENT_LENGTH, header::HeaderValue::from_static("1000"));
    response
}
