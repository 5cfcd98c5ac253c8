//! The project's own commands: `cargo xtask author-test | bench | build-plugins | chat-doc | compose-test | crash-test | demo | deployment-test | guard | hostile-guests | languages | metrics-doc | mistakes-doc | release | reproducible | settings-doc | structure | test | tidy | trouble-test | tutorial-test`.
#![expect(clippy::print_stdout, reason = "a command line tool talks to its user")]

mod author_test;
mod bench;
mod build_plugins;
mod chat;
mod chat_doc;
mod command;
mod compose_test;
mod contract_doc;
mod crash_test;
mod debian;
mod demo;
mod deployment_test;
mod digest;
mod ended;
mod guard;
mod guest_env;
mod guests;
mod hostile_guests;
mod kubernetes_test;
mod languages;
mod load;
mod mistakes_doc;
mod no_ops;
mod paths;
mod redis;
mod release;
mod reproducible;
mod service;
mod settings_doc;
mod stop;
mod stranger;
mod structure;
mod system;
mod test;
mod tidy;
mod toolchain;
mod trouble_test;
mod tutorial_test;
mod valkey;
mod violation;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    AuthorTest(author_test::AuthorTest),
    Bench(bench::Bench),
    BuildPlugins(build_plugins::BuildPlugins),
    ChatDoc(chat_doc::ChatDoc),
    ComposeTest(compose_test::ComposeTest),
    CrashTest(crash_test::CrashTest),
    Demo(demo::Demo),
    DeploymentTest(deployment_test::DeploymentTest),
    Guard(guard::Guard),
    GuestEnv(guest_env::GuestEnv),
    HostileGuests(hostile_guests::HostileGuests),
    KubernetesTest(kubernetes_test::KubernetesTest),
    ContractDoc(contract_doc::ContractDoc),
    Languages(languages::Languages),
    MetricsDoc(settings_doc::MetricsDoc),
    MistakesDoc(mistakes_doc::MistakesDoc),
    Release(release::Release),
    Reproducible(reproducible::Reproducible),
    SettingsDoc(settings_doc::SettingsDoc),
    Structure(structure::Structure),
    Test(test::Test),
    Tidy(tidy::Tidy),
    TroubleTest(trouble_test::TroubleTest),
    TutorialTest(tutorial_test::TutorialTest),
}

fn main() -> ExitCode {
    let done = paths::root().and_then(|root| match Command::parse() {
        Command::AuthorTest(command) => command.run(&root),
        Command::Bench(command) => command.run(&root),
        Command::BuildPlugins(command) => command.run(&root),
        Command::ChatDoc(command) => command.run(&root),
        Command::ComposeTest(command) => command.run(&root),
        Command::CrashTest(command) => command.run(&root),
        Command::Demo(command) => command.run(&root),
        Command::DeploymentTest(command) => command.run(&root),
        Command::Guard(command) => command.run(&root),
        Command::GuestEnv(command) => command.run(&root),
        Command::HostileGuests(command) => command.run(&root),
        Command::KubernetesTest(command) => command.run(&root),
        Command::ContractDoc(command) => command.run(&root),
        Command::Languages(command) => command.run(&root),
        Command::MetricsDoc(command) => command.run(&root),
        Command::MistakesDoc(command) => command.run(&root),
        Command::Release(command) => command.run(&root),
        Command::Reproducible(command) => command.run(&root),
        Command::SettingsDoc(command) => command.run(&root),
        Command::Structure(command) => command.run(&root),
        Command::Test(command) => command.run(&root),
        Command::Tidy(command) => command.run(&root),
        Command::TroubleTest(command) => command.run(&root),
        Command::TutorialTest(command) => command.run(&root),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
