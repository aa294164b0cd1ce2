//! See [`basketd`].

fn main() -> anyhow::Result<()> {
    basketd::app::main()
}
