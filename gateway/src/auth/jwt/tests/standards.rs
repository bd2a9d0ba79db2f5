//! The examples that RFC 7515 (appendix A) and RFC 8037 (appendix A.4) publish: other programs made these signatures.
//! Separate, because the tests' own signers use the same library as the verification.

use super::super::token::{Expected, TokenError, verify};
use super::{at, expected, is_rejected, keys, malformed};

/// The payload of RFC 7515: valid until 2011, without a subject.
const JOE: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// The payload of RFC 8037, which is a sentence.
const SENTENCE: &str = "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";

#[test]
fn the_examples_of_the_standards_are_verified() {
    // Each is rejected by its payload, which is read only after the signature is verified.
    let check = |jwk: &str, [header, payload, signature]: [&str; 3], error: &TokenError| {
        let keys = keys(&[jwk.to_owned()]);
        let any = Expected { issuer: None, audiences: Vec::new(), ..expected() };
        let token = format!("{header}.{payload}.{signature}");
        assert_eq!(verify(&keys, &any, &token, at(1_300_000_000)).as_ref(), Err(error), "{token}");
        let first = if signature.starts_with('A') { "B" } else { "A" };
        let other = format!("{header}.{payload}.{first}{}", &signature[1..]);
        is_rejected(&keys, &other, &TokenError::SignatureInvalid);
    };
    let subject = TokenError::ClaimInvalid { claim: "sub", problem: "is missing" };
    // RFC 7515, A.1.
    check(
        concat!(
            r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUu"#,
            r#"TwjAzZr1Z9CAow"}"#,
        ),
        ["eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", JOE, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"],
        &subject,
    );
    // RFC 7515, A.2.
    check(
        concat!(
            r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmf"#,
            r#"HQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wG"#,
            r#"zjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZ"#,
            r#"lxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54"#,
            r#"h4FRWyuXpoQ"}"#,
        ),
        [
            "eyJhbGciOiJSUzI1NiJ9",
            JOE,
            concat!(
                "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2F",
                "p5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQB",
                "MHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeY",
                "I2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
            ),
        ],
        &subject,
    );
    // RFC 7515, A.3.
    check(
        concat!(
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m"#,
            r#"36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        ),
        [
            "eyJhbGciOiJFUzI1NiJ9",
            JOE,
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ],
        &subject,
    );
    // RFC 8037, A.4.
    check(
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        [
            "eyJhbGciOiJFZERTQSJ9",
            SENTENCE,
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ],
        &malformed("payload", "not a JSON object"),
    );
}
