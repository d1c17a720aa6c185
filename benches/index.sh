#!/usr/bin/env bash
# What the first answer costs for a film of three hours and for 10 GiB of MPEG-TS, beside ffprobe's seek and nginx's
# `?start=`. Needs ffmpeg and curl, and nginx with its mp4 module; and 11 GiB of disk for the second film.
#
#   benches/index.sh FOLDER          # both films are made in FOLDER, once
#   benches/index.sh FOLDER --short  # only the first
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
cd "$1"
make() { ffmpeg -nostdin -v error -y "$@"; }

if [[ ! -e three-hours.mp4 ]]; then
    # Pictures and sound by themselves, so that neither waits for the other where a part ends.
    make -f lavfi -i testsrc=size=128x96:rate=25:duration=120 -c:v libx264 -preset veryfast -bf 3 -g 50 pictures.mp4
    make -f lavfi -i sine=duration=120:sample_rate=48000 -c:a aac -b:a 32k sound.m4a
    make -stream_loop 89 -i pictures.mp4 -stream_loop 89 -i sound.m4a -map 0 -map 1 -c copy three-hours.mp4
fi
films=(three-hours.mp4)
if [[ ${2:-} != --short ]]; then
    if [[ ! -e ten.ts ]]; then
        make -f lavfi -i testsrc2=size=1280x720:rate=25:duration=60 -f lavfi -i sine=duration=60:sample_rate=48000 \
            -vf noise=alls=20:allf=t -c:v libx264 -preset ultrafast -b:v 6M -maxrate 6M -bufsize 12M -g 50 \
            -c:a aac -b:a 128k -shortest minute.ts
        make -stream_loop 224 -i minute.ts -c copy ten.ts
    fi
    films+=(ten.ts)
fi
for film in "${films[@]}"; do
    cargo bench --manifest-path "$top/Cargo.toml" --bench index -- "$PWD/$film" 2>/dev/null
done

TIMEFORMAT='%U s of the processor in the program, %S s in the kernel, %R s in all'
for _ in 1 2 3; do
    echo -n "ffprobe -read_intervals: "
    time ffprobe -v quiet -read_intervals '4154.96%+#1' -select_streams v -show_packets three-hours.mp4 >/dev/null
done
if ! nginx -V 2>&1 | grep -q http_mp4_module; then
    echo "nginx with its mp4 module is not here"
    exit
fi
conf=$(mktemp -d)
trap 'kill "$(cat "$conf/pid")" || true; rm -rf "$conf"' EXIT
cat >"$conf/nginx.conf" <<END
pid $conf/pid;
error_log $conf/error.log;
user root;
events {}
http {
    access_log off;
    server {
        listen 127.0.0.1:18734;
        location / { root $PWD; mp4; mp4_max_buffer_size 50m; }
    }
}
END
nginx -c "$conf/nginx.conf"
for _ in 1 2 3 4 5; do
    curl -s -o /dev/null --max-filesize 1 -w 'nginx ?start=4154.96: first byte after %{time_starttransfer} s\n' \
        'http://127.0.0.1:18734/three-hours.mp4?start=4154.96&end=4156' || true
done
