//! Converts the built-in sets from YAML, the form for people, to JSON, which a process reads in a tenth of the time when
//! it starts. Tests compare both.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=sets");

    let out = PathBuf::from(env::var("OUT_DIR")?);
    for set in ["default", "legacy", "themes"] {
        let yaml = fs::read_to_string(format!("sets/{set}.yaml"))?;
        let content: serde_json::Value = serde_saphyr::from_str(&yaml)?;
        fs::write(out.join(format!("{set}.json")), content.to_string())?;
    }
    Ok(())
}
