//! stub
/// a
#[derive(Debug, clap::Args)]
pub struct DemoArgs {}
/// b
pub fn run(_: DemoArgs) -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
