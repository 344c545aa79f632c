"""Certificates and keys for tests, made by the openssl program."""

import subprocess


def openssl(folder, *args):
    subprocess.run(["openssl", *args], cwd=folder, stdin=subprocess.DEVNULL, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make(folder, name, authority=None, host=None, kind="ec", days=2):
    """NAME.key and NAME.pem in the folder: an authority by itself, or for a host, signed by one."""
    key = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}[kind]
    signing = []
    if authority:
        signing = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
                   "-addext", f"subjectAltName=DNS:{host or name}",
                   "-addext", "basicConstraints=critical,CA:FALSE"]
    openssl(folder, "req", "-newkey", *key, "-nodes", "-x509", "-days", str(days),
            "-subj", f"/CN={host or name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
            *signing)
