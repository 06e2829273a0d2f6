"""What the host's own tools say of it, ten times a second, while something goes on: a JSON object a line, the keys as the tests read them."""
import json
import os
import shutil
import subprocess
import sys
import threading
import time

SECONDS = float(sys.argv[1])
IOSTAT = shutil.which("iostat")


def said(*command):
    # free and iostat translate their tables.
    return subprocess.check_output(command, env={"PATH": os.environ["PATH"], "LC_ALL": "C"}).decode().splitlines()


def lines(path):
    with open(path) as file:
        return [line.split() for line in file]


def memory():
    table = [line.split() for line in said("free", "-b", "-w")]
    head = table[0]
    mem = dict(zip(head, map(int, table[1][1:])))
    # Newer versions of free say another `used`.
    used = mem["total"] - mem["free"] - mem["buffers"] - mem["cache"]
    swap = list(map(int, table[2][1:4]))
    return {"mem_used_percent": 100.0 * used / mem["total"], "swap_used_percent": 100.0 * swap[1] / swap[0] if swap[0] else 0.0}


def disk():
    used, free, inodes = map(int, said("df", "-B1", "--output=used,avail,iavail", "/")[1].split())
    return {"disk_used_percent": 100.0 * used / (used + free), "disk_inodes_free": inodes}


def processors():
    ticks = list(map(int, lines("/proc/stat")[0][1:9]))
    return {"ticks": sum(ticks), "cpu_usage_active": sum(ticks) - ticks[3], "cpu_usage_iowait": ticks[4]}


def established():
    sockets = lines("/proc/net/tcp")[1:] + lines("/proc/net/tcp6")[1:]
    return {"netstat_tcp_established": sum(socket[3] == "01" for socket in sockets)}


def counters():
    disks = {line[2]: line for line in lines("/proc/diskstats")}
    read = {}
    for name, line in disks.items():
        read["diskio_read_bytes " + name] = int(line[5]) * 512
        read["diskio_write_bytes " + name] = int(line[9]) * 512
        read["diskio_io_time " + name] = int(line[12])
    with open("/proc/net/dev") as file:
        for line in list(file)[2:]:
            name, numbers = line.split(":")
            numbers = list(map(int, numbers.split()))
            read["net_bytes_recv " + name.strip()] = numbers[0]
            read["net_bytes_sent " + name.strip()] = numbers[8]
    return read


def iostat():
    """Since the boot, in whole kilobytes: Device tps kB_read/s kB_wrtn/s (kB_dscd/s) kB_read kB_wrtn (kB_dscd)."""
    if IOSTAT is None:
        return {}
    table = [line.split() for line in said(IOSTAT, "-d", "-k")]
    begin = next(at for at, row in enumerate(table) if row and row[0].startswith("Device"))
    read, written = table[begin].index("kB_read"), table[begin].index("kB_wrtn")
    return {row[0]: [int(row[read]), int(row[written])] for row in table[begin + 1:] if row}


def work():
    """Something to measure: half of the time a busy processor, and writes that reach the disk. What is printed goes over the network's card."""
    began = time.time()
    with open("/var/tmp/measured", "wb") as file:
        while time.time() < began + SECONDS:
            file.write(os.urandom(300000))
            file.flush()
            os.fsync(file.fileno())
            if int(time.time() / 4) % 2:
                busy = time.time() + 0.2
                while time.time() < busy:
                    pass
            else:
                time.sleep(0.2)


worker = threading.Thread(target=work)
worker.start()
while worker.is_alive():
    before = time.time()
    seen = {"gauges": {}, "counters": counters(), "cpu": processors(), "iostat": iostat()}
    for look in (memory, disk, established):
        seen["gauges"].update(look())
    # The looks lie between these two.
    seen.update({"from": before, "to": time.time()})
    print(json.dumps(seen))
    time.sleep(0.05)
