//! Compiles `anchors.proto` without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=anchors.proto");
    let descriptors = protox::compile(["anchors.proto"], ["."])?;
    Ok(tonic_prost_build::configure().compile_fds(descriptors)?)
}
