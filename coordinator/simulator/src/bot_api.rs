//! The Bot API: `/bot<TOKEN>/<Method>`, with Telegram's refusals in Telegram's words.

mod media;
mod messages;
mod updates;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};

use crate::faults::{self, FaultKind};
use crate::message::MediaKind;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::state::State;
use crate::updates::update_json;

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
    let params = Params::read(query.as_deref().unwrap_or(""), &headers, &body);
    let fault = simulator.change(|state| {
        *state.calls.entry(method.clone()).or_default() += 1;
        faults::take(&mut state.faults, &method, params.as_ref().ok())
    });
    match fault.as_ref().map(|fault| (fault.fault, fault)) {
        Some((FaultKind::Drop, _)) => return broken(),
        Some((FaultKind::Delay, fault)) => {
            let wait = std::time::Duration::from_millis(fault.delay_ms);
            // Telegram finishes a call even when the caller has gone.
            let late = tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                answer(&simulator, perform(&simulator, &method, params).await)
            });
            return late.await.unwrap_or_else(|_ended| broken());
        }
        Some((FaultKind::ApplyThenDrop | FaultKind::Bare | FaultKind::Void, _)) | None => {}
        Some((_, fault)) => {
            if let Some(refusal) = fault.refusal(&method) {
                return answer(&simulator, Err(refusal));
            }
        }
    }
    let result = perform(&simulator, &method, params).await;
    if fault.as_ref().is_some_and(|fault| fault.fault == FaultKind::ApplyThenDrop) {
        return broken();
    }
    match result {
        Ok(Value::Array(updates)) if method == "getupdates" => updates_answer(&updates),
        Ok(result) if fault.as_ref().is_some_and(|fault| fault.fault == FaultKind::Bare) => {
            answer(&simulator, Ok(faults::bare(result)))
        }
        Ok(_) if fault.is_some_and(|fault| fault.fault == FaultKind::Void) => {
            answer(&simulator, Ok(json!({})))
        }
        result => answer(&simulator, result),
    }
}

async fn perform(
    simulator: &Simulator,
    method: &str,
    params: Result<Params, Refusal>,
) -> Result<Value, Refusal> {
    match params {
        Ok(params) => dispatch(simulator, method, &params).await,
        Err(refusal) => Err(refusal),
    }
}

async fn dispatch(simulator: &Simulator, method: &str, params: &Params) -> Result<Value, Refusal> {
    match method {
        "getme" => Ok(simulator.lock().bot()),
        "getupdates" => updates::get_updates(simulator, params).await,
        "setwebhook" => updates::set_webhook(simulator, params),
        "deletewebhook" => Ok(updates::delete_webhook(simulator, params)),
        "getwebhookinfo" => Ok(updates::webhook_info(simulator)),
        "sendmessage" => messages::send(simulator, params),
        "sendphoto" => media::send(simulator, MediaKind::Photo, params),
        "sendvideo" => media::send(simulator, MediaKind::Video, params),
        "sendmediagroup" => media::send_album(simulator, params),
        "editmessagemedia" => media::edit_media(simulator, params),
        "editmessagecaption" => media::edit_caption(simulator, params),
        "editmessagetext" => messages::edit_text(simulator, params),
        "editmessagereplymarkup" => messages::edit_markup(simulator, params),
        "deletemessage" => messages::delete(simulator, params),
        "answercallbackquery" => messages::answer_callback(simulator, params),
        "sendchataction" => messages::chat_action(simulator, params),
        "setmycommands" => simulator.change(|state| state.menus.set(params)).map(|()| true.into()),
        "getmycommands" => simulator.lock().menus.get(params),
        "deletemycommands" => {
            simulator.change(|state| state.menus.remove(params)).map(|()| true.into())
        }
        "getchatmember" => Ok(chat_member(&simulator.lock(), params)),
        "logout" | "close" => Ok(true.into()),
        _ => Err(Refusal::new(404, "Not Found")),
    }
}

fn chat_member(state: &State, params: &Params) -> Value {
    let of = (params.number("chat_id").unwrap_or(0), params.number("user_id").unwrap_or(0));
    let status = state.administrators.get(&of).map_or("member", String::as_str);
    json!({"status": status, "user": {"id": of.1, "is_bot": false, "first_name": "A"}})
}

/// Updates as they were written: some are not valid JSON.
fn updates_answer(updates: &[Value]) -> Response {
    let list: Vec<Vec<u8>> = updates.iter().map(update_json).collect();
    let body = [b"{\"ok\":true,\"result\":[".as_slice(), &list.join(&b","[..]), b"]}"].concat();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn answer(simulator: &Simulator, result: Result<Value, Refusal>) -> Response {
    let (code, body) = match result {
        Ok(result) => (200, json!({"ok": true, "result": result})),
        Err(refusal) => {
            *simulator.lock().errors.entry(refusal.code).or_default() += 1;
            let mut body = json!({
                "ok": false, "error_code": refusal.code, "description": refusal.description,
            });
            let parameters = match (refusal.retry_after, refusal.migrate_to_chat_id) {
                (Some(seconds), _) => Some(json!({"retry_after": seconds})),
                (None, Some(chat)) => Some(json!({"migrate_to_chat_id": chat})),
                (None, None) => None,
            };
            if let (Some(parameters), Some(fields)) = (parameters, body.as_object_mut()) {
                fields.insert("parameters".to_owned(), parameters);
            }
            (refusal.code, body)
        }
    };
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Announces a body and closes the connection before it, so the call fails without an answer.
fn broken() -> Response {
    let lost = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("dropped")) });
    let mut response = Response::new(Body::from_stream(lost));
    response.headers_mut().insert(header::CONTENT_LENGTH, header::HeaderValue::from_static("1000"));
    response
}
