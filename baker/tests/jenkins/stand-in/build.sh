#!/bin/bash
# Makes the stand-in's package, and a repository that holds nothing else, in the folder it is called in.
set -euo pipefail
cd /opt/stand-in
chmod 0755 files/DEBIAN/postinst files/usr/bin/jenkins
dpkg-deb --build files jenkins.deb
{
    dpkg-deb --field jenkins.deb
    echo "Filename: ./jenkins.deb"
    echo "Size: $(stat --format=%s jenkins.deb)"
    echo "SHA256: $(sha256sum jenkins.deb | cut -d' ' -f1)"
} >Packages
