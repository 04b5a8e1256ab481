//! Compiles a component for its parent: what `restante compile-plugin` does, for the tests of this crate.

fn main() -> std::process::ExitCode {
    restante_plugin::compile_for_parent().into()
}
