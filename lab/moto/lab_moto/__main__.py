"""`python -m lab_moto --vpc-cidr 10.77.0.0/16`.

Says `listening PORT` on standard output when it is ready, and ends when its standard input closes.
"""

import argparse
import ipaddress
import os
import pathlib
import sys
import threading


def main():
    options = parse(sys.argv[1:])
    # moto reads these when it is imported.
    os.environ["MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION"] = "true"

    from . import console, network

    network.Settings.vpc_cidr = str(options.vpc_cidr)
    console.Settings.hosts_dir = options.hosts_dir

    # Importing a module of rules changes moto: those that no other module imports are named for that alone.
    from . import catalog, launch, metrics, server  # noqa: F401
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.ec2.models import ec2_backends
    from moto.ssm.models import ssm_backends

    # The first backend costs most of the first request: make it before anybody waits for it.
    ec2_backends[DEFAULT_ACCOUNT_ID][options.region]
    ssm_backends[DEFAULT_ACCOUNT_ID][options.region]
    listener = server.listen(options.port)
    print(f"listening {listener.port}", flush=True)
    # Nobody reads the pipe after this line: what is still printed goes where the errors go.
    os.dup2(2, 1)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    listener.serve_forever()


def parse(arguments):
    parser = argparse.ArgumentParser(prog="lab_moto")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--vpc-cidr", type=slash_16, default="172.31.0.0/16", help="of every default VPC")
    parser.add_argument("--hosts-dir", type=pathlib.Path, required=True, help="of the hosts' consoles: ID/console.log")
    parser.add_argument("--region", default="us-east-1", help="made ready before the first request")
    return parser.parse_args(arguments)


def slash_16(text):
    network = ipaddress.ip_network(text)
    if network.prefixlen != 16:
        raise argparse.ArgumentTypeError("a /16 is needed, as AWS gives a default VPC")
    return network


def end_with_stdin():
    # The other end of the pipe is held by the lab: it closes however the lab ends, SIGKILL included.
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
