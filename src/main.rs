//! See [`basketd`].

fn main() -> std::process::ExitCode {
    basketd::app::main()
}
