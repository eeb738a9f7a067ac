"""A certificate authority of this machine's own, and the certificates of servers that it signs."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# A name of the public internet, to which nothing but a file of hosts or a network of one's own leads.
HOST = "receiver.example.com"
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
CA, NO_CA = (x509.BasicConstraints(ca=ca, path_length=None) for ca in (True, False))


class Authority:
    """An authority that signs certificates, and its own certificate in a file."""

    def __init__(self, folder: Path, ends: dt.datetime = NOW + DAY) -> None:
        self.folder = folder
        self._ends = ends
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Local {folder.name}")])
        made = self._certificate(self._name, self._key, constraints=CA, begins=NOW - 10 * DAY, ends=ends, name=None)
        self.file = folder / "authority.pem"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def server(self, host: str = HOST, *, begins: dt.datetime = NOW - DAY, ends: dt.datetime | None = None) -> ssl.SSLContext:
        """What a server needs to be this host."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        made = self._certificate(subject, key, constraints=NO_CA, begins=begins, ends=ends or self._ends, name=name)
        file = self.folder / f"{made.serial_number}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _certificate(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        constraints: x509.BasicConstraints,
        begins: dt.datetime,
        ends: dt.datetime,
        name: x509.GeneralName | None,
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number(), begins, ends)
        builder = builder.add_extension(constraints, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        ca = constraints.ca
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=ca,
            crl_sign=ca,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
        if name is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
        return builder.sign(self._key, hashes.SHA256())
