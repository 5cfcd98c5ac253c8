//! The dashboard in a real browser: each page and action, light and dark, wide and narrow.

use std::path::Path;
use std::time::Duration;

use queue::FailureCode;
use serde_json::json;
use test_kit::{Browser, eventually};

use super::{ADMIN, Dashboard, PAGES, plugins, search};
use crate::support::scripted_worker;

/// Writes a picture of the page where `SCREENSHOTS` names a folder.
pub(super) async fn picture(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("SCREENSHOTS") else { return };
    let file = Path::new(&folder).join(format!("{name}.png"));
    std::fs::write(file, browser.picture().await).unwrap();
}

/// What axe finds, where `AXE` names its file; and what can be checked without it.
async fn accessible(browser: &Browser, page: &str) {
    let problems = browser.runs(CHECKS).await;
    assert_eq!(problems, json!([]), "{page}");
    let Some(axe) = std::env::var_os("AXE") else { return };
    let axe = std::fs::read_to_string(axe).unwrap();
    browser.runs(&axe).await;
    let run = "return axe.run().then(found => found.violations.map(rule => rule.id + ': ' + rule.nodes[0].html))";
    assert_eq!(browser.runs(run).await, json!([]), "axe: {page}");
}

/// Landmarks, headings, names of fields and buttons, headers of tables, a language, and contrast.
const CHECKS: &str = r#"
const found = [];
const all = (selector) => [...document.querySelectorAll(selector)];
if (all('h1').length !== 1) found.push('not one h1');
for (const name of ['main', 'header']) if (all(name).length !== 1) found.push('not one ' + name);
const menus = all('nav').map((menu) => menu.ariaLabel);
if (!menus.length || menus.includes(null) || new Set(menus).size !== menus.length) found.push('menus: ' + menus);
if (!document.documentElement.lang) found.push('no language');
const level = (heading) => Number(heading.tagName[1]);
for (const field of all('input:not([type=hidden]), select, textarea'))
  if (!field.labels.length) found.push('no label: ' + field.outerHTML);
for (const control of all('button, a, summary'))
  if (!(control.ariaLabel || control.textContent).trim()) found.push('no name: ' + control.outerHTML);
for (const table of all('table')) if (!table.querySelector('th[scope]')) found.push('a table without headers');
for (const image of all('img')) if (image.getAttribute('alt') === null) found.push('no alt');
const ids = all('[id]').map((element) => element.id);
if (new Set(ids).size !== ids.length) found.push('an id twice');
const parts = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = parts(getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
for (const element of all('body *')) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || element.closest('svg') || !element.checkVisibility()) continue;
  const [one, other] = [light(parts(getComputedStyle(element).color)), light(behind(element))];
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (ratio < 4.5) found.push('contrast ' + ratio.toFixed(1) + ': ' + element.outerHTML.slice(0, 120));
}
if (document.documentElement.scrollWidth > innerWidth) found.push('wider than the window: ' + document.documentElement.scrollWidth);
return found;
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_does_everything_in_a_browser() {
    let dashboard = Dashboard::start(true).await;
    let worker = scripted_worker(&dashboard.redis, Duration::from_secs(1)).await;
    plugins::push(&dashboard.queue, "1.2.0", "a", None).await;
    plugins::push(&dashboard.queue, "1.3.0", "b", None).await;
    dashboard.queue.set_paused(&search(), true).await.unwrap();
    let browser = Browser::start().await;
    browser.open(&dashboard.url("/")).await;
    browser.sees("Log in").await;
    picture(&browser, "login").await;
    browser.fills("//input[@id='name']", "Ada").await;
    browser.fills("//input[@id='token']", ADMIN).await;
    browser.clicks("//button[.='Log in']").await;
    browser.sees("search_creator is paused, since").await;
    let task = dashboard.waiting_task().await;
    // The page follows by itself.
    browser.sees("1 task waits for it").await;
    // A task: seen, run again with other params, cancelled.
    browser.clicks("//nav//a[.='Tasks']").await;
    browser.clicks(&format!("//a[contains(., '{}')]", task.task_id)).await;
    browser.sees("<script>document.title").await;
    browser.fills("//textarea", r#"{"query":"luna"}"#).await;
    browser.clicks("//button[.='Run']").await;
    browser.sees("Submitted.").await;
    browser.clicks("//button[.='Cancel']").await;
    browser.sees("is cancelled").await;
    browser.sees("Ended: cancelled").await;
    // A type: resumed, limited.
    browser.clicks("//nav//a[.='Types']").await;
    browser.clicks("//button[@aria-label='Resume search_creator']").await;
    browser.sees("search_creator goes on.").await;
    browser.clicks("//summary[contains(., 'search_creator')]").await;
    browser.fills("//input[@id='max_active-search_creator']", "2").await;
    browser.clicks("//button[@aria-label='Set: Most that run at once, search_creator']").await;
    browser.sees("max_active of search_creator: 2.").await;
    eventually("an empty queue", async || {
        (dashboard.queue.queue_size(&search()).await.unwrap() == 0).then_some(())
    })
    .await;
    drop(worker);
    // Dead letters: replayed one by one, discarded together.
    dashboard.dead_letters(3, FailureCode::PluginFailed, "the forum answers 429").await;
    browser.clicks("//nav//a[.='Dead letters']").await;
    browser.sees("the forum answers 429").await;
    browser.clicks("(//table//a[contains(., 'search_creator')])[1]").await;
    browser.sees("Failed for good").await;
    browser.clicks("//button[.='Replay']").await;
    browser.sees("The dead letter is this task now.").await;
    browser.clicks("//nav//a[.='Dead letters']").await;
    browser.clicks("//button[@aria-label='Discard all of search_creator']").await;
    browser.sees("Discard 2 dead letters?").await;
    picture(&browser, "plan").await;
    accessible(&browser, "plan").await;
    browser.clicks("//button[.='Discard 2 dead letters']").await;
    browser.sees("2 were discarded.").await;
    // A plugin of the fleet goes back.
    browser.clicks("//nav//a[.='Plugins']").await;
    browser.clicks("//a[@aria-label='Roll back search']").await;
    browser.sees("Roll search back?").await;
    browser.clicks("//button[.='Roll back to 1.2.0']").await;
    browser.sees("search goes back to 1.2.0.").await;
    browser.clicks("//nav//a[.='Changes']").await;
    browser.sees("search from 1.3.0").await;
    browser.sees("2 were discarded").await;
    browser.sees("Ada").await;
    assert_eq!(browser.runs("return document.title").await, "Changes · FreeFans");
    browser.clicks("//button[.='Log out']").await;
    browser.sees("Token").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_read_by_everybody_light_and_dark_wide_and_narrow() {
    let dashboard = Dashboard::start(false).await;
    let browser = Browser::start().await;
    dashboard.dead_letters(3, FailureCode::PluginFailed, "the forum answers 429").await;
    dashboard.dead_letters(2, FailureCode::Trap, "wasm trap: unreachable").await;
    let _worker = scripted_worker(&dashboard.redis, Duration::from_secs(600)).await;
    let task = dashboard.waiting_task().await;
    let task = format!("/task?id={}", task.task_id);
    for (version, digit) in [("1.1.0", "a"), ("1.2.0", "b"), ("1.3.0", "c")] {
        plugins::push(&dashboard.queue, version, digit, None).await;
    }
    let pages = PAGES.iter().copied().chain([task.as_str(), "/rollback?plugin=search"]);
    for (scheme, width) in [("light", 1100), ("dark", 1100), ("light", 390)] {
        browser.resize(width, 900).await;
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        let body = json!({"cmd": "Emulation.setEmulatedMedia", "params": features});
        browser.post("/goog/cdp/execute", &body).await.unwrap();
        // A worker without a successor to its record is gone after 15 s.
        dashboard.queue.announce_worker(&plugins::telling()).await.unwrap();
        for page in pages.clone() {
            browser.open(&dashboard.url(page)).await;
            let name = page.split('?').next().unwrap().trim_matches('/');
            picture(&browser, &format!("{scheme}-{width}-{name}")).await;
            accessible(&browser, &format!("{page} {scheme} {width}")).await;
        }
    }
    // By keyboard: the first stop skips the menu, and a stop is visible.
    browser.open(&dashboard.url("/types")).await;
    let tab = json!({"actions": [{"type": "key", "id": "k", "actions": [
        {"type": "keyDown", "value": "\u{e004}"}, {"type": "keyUp", "value": "\u{e004}"}]}]});
    browser.post("/actions", &tab).await.unwrap();
    let focused = "const at = document.activeElement; return [at.className, getComputedStyle(at).outlineStyle]";
    assert_eq!(browser.runs(focused).await, json!(["skip", "solid"]));
}
