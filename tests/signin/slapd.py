"""A real OpenLDAP server with people and groups, of a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import ldap3
import trustme

from tests.connectors.servers import answers, free_port

BASE = "dc=house,dc=example"
READER, READER_PASSWORD = f"cn=reader,{BASE}", "reads-and-no-more"
#: uid -> (password, groups)
PEOPLE = {
    "ann": ("ann-has-a-password", ["flowledger-operators"]),
    "bob": ("bob-has-a-password", []),
    "eve*": ("eve-has-a-password", ["flowledger-operators"]),
    "two": ("two-has-a-password", []),
}
CONF = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/key.pem
disallow bind_anon
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
database mdb
suffix "{base}"
rootdn "cn=root,{base}"
rootpw root-of-the-tests
directory {folder}/data
"""


class Slapd:
    def __init__(self, folder: Path) -> None:
        """Raises: OSError: there is no slapd here."""
        program = shutil.which("slapd", path="/usr/sbin:/usr/lib/openldap:/usr/local/libexec")
        if program is None:
            raise OSError("no slapd on this machine: apt-get install slapd")
        folder.mkdir()
        (folder / "data").mkdir()
        authority = trustme.CA()
        own = authority.issue_cert("localhost")
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        own.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
        own.private_key_pem.write_to_path(str(folder / "key.pem"))
        (folder / "slapd.conf").write_text(CONF.format(folder=folder, base=BASE, reader=READER))
        self.port, self.tls_port = free_port(), free_port()
        self._command = [
            program,
            "-f",
            str(folder / "slapd.conf"),
            "-h",
            f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/",
            "-d",
            "0",
        ]
        self.start()
        self.come_back()
        self._fill()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while not (answers(self.port) and answers(self.tls_port)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise OSError(
                    f"slapd: {self.process.stderr.read() if self.process.poll() is not None and self.process.stderr else 'too slow'}"
                )
            time.sleep(0.05)

    def come_back(self) -> None:
        """Signed in as who may do everything, after a start."""
        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        self.root = ldap3.Connection(server, f"cn=root,{BASE}", "root-of-the-tests", check_names=False)
        assert self.root.bind(), self.root.result

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        if self.process.stderr is not None:
            self.process.stderr.close()

    def add(self, dn: str, kinds: list[str], **values: object) -> None:
        assert self.root.add(dn, kinds, values), (dn, self.root.result)

    def person(self, uid: str, password: str, unit: str = "people") -> str:
        dn = f"cn={uid} of {unit},ou={unit},{BASE}"
        self.add(dn, ["inetOrgPerson"], uid=uid, sn=uid, cn=f"{uid} of {unit}", userPassword=password)
        return dn

    def members(self, group: str, *dns: str) -> None:
        dn = f"cn={group},ou=groups,{BASE}"
        assert self.root.modify(dn, {"member": [(ldap3.MODIFY_REPLACE, [READER, *dns])]}), self.root.result

    def _fill(self) -> None:
        self.add(BASE, ["dcObject", "organization"], dc="house", o="house")
        for unit in ("people", "others", "groups"):
            self.add(f"ou={unit},{BASE}", ["organizationalUnit"], ou=unit)
        self.add(READER, ["organizationalRole", "simpleSecurityObject"], cn="reader", userPassword=READER_PASSWORD)
        self.dns = {uid: self.person(uid, password) for uid, (password, _) in PEOPLE.items()}
        self.person("two", "two-has-a-password", "others")
        members = [self.dns[uid] for uid, (_, groups) in PEOPLE.items() if groups]
        self.add(f"cn=flowledger-operators,ou=groups,{BASE}", ["groupOfNames"], cn="flowledger-operators", member=[READER, *members])
        self.add(f"cn=choir,ou=groups,{BASE}", ["groupOfNames"], cn="choir", member=[READER, self.dns["ann"]])
