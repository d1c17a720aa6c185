#!/usr/bin/env bash
# Builds the container image and asks of it what an operator relies on. Prints what was checked.
#
#   tests/image.sh [TOOLS]
#
# Uses Docker where an engine answers, else podman. TOOLS is for a machine where neither can have
# base images: a folder with two programs that do it by podman, on the host's network,
# `build FOLDER TAG` and `run TAG [options of podman run] -- [arguments]`.
set -euo pipefail
tools=${1:+$(realpath "$1")}
cd "$(dirname "$0")/.."

tag=reelmap-test
image=localhost/$tag
limit=$((15 * 1024 * 1024))
# The default format of podman's builder knows no health check.
export BUILDAH_FORMAT=docker

# Without systemd podman can't run health checks by the clock, and says so each time.
without_warning() { "$@" 2> >(grep -v 'systemd connection' >&2); }

if [[ $tools ]]; then
  engine=podman
  port=$((20000 + RANDOM % 10000))
  build() { "$tools/build" . "$tag"; }
  start() { without_warning "$tools/run" "$tag" "${options[@]}" -e "REELMAP_LISTEN=127.0.0.1:$port" -- "$@"; }
else
  engine=podman
  if docker info >/dev/null 2>&1; then
    engine=docker
  elif ! command -v podman >/dev/null; then
    echo "image: needs Docker, podman, or a folder of tools as its argument" >&2
    exit 1
  fi
  port=
  build() { "$engine" build -t "$image" .; }
  start() { without_warning "$engine" run "${options[@]}" -p 127.0.0.1::8080 "$image" "$@"; }
fi

work=$(mktemp -d)
name=reelmap-test-$$
clean() {
  "$engine" rm -f "$name" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean EXIT

ok() { echo "image: $*"; }
fail() {
  echo "image: FAILED: $*" >&2
  "$engine" logs "$name" >&2 2>/dev/null || true
  exit 1
}
inspect() { "$engine" inspect --format "$1" "$name"; }

build

bytes=$("$engine" image inspect --format '{{.Size}}' "$image")
((bytes < limit)) || fail "it takes $bytes bytes, the limit is $limit"
ok "it takes $bytes bytes"

# Films of the fixtures, and one that doesn't fit into a socket's buffers.
media=$work/media
mkdir "$media"
cp fixtures/*.mp4 "$media"
head -c 64M /dev/urandom >"$media/large.mp4"
chmod -R a+rX "$work"

options=(-d --name "$name" --read-only --cap-drop ALL --security-opt no-new-privileges -v "$media:/media:ro")
start --access-log json >/dev/null
port=${port:-$("$engine" port "$name" 8080/tcp | sed 's/.*://')}
url=http://127.0.0.1:$port

healthy=
for _ in {1..50}; do
  if "$engine" exec "$name" /reelmap health 2>"$work/health"; then healthy=yes; break; fi
  sleep 0.2
done
[[ $healthy ]] || fail "it isn't healthy: $(<"$work/health")"
ok "it starts on a read-only root, without capabilities, and \`reelmap health\` inside says it is well"

if [[ $engine = podman ]]; then
  podman healthcheck run "$name" >/dev/null || fail "its own HEALTHCHECK fails"
else
  for _ in {1..60}; do
    state=$(inspect '{{.State.Health.Status}}')
    [[ $state = starting ]] || break
    sleep 1
  done
  [[ $state = healthy ]] || fail "its own HEALTHCHECK says $state"
fi
ok "its own HEALTHCHECK passes"
if "$engine" exec "$name" /reelmap health http://127.0.0.1:1/ 2>/dev/null; then
  fail "\`reelmap health\` finds a server that isn't there well"
fi
ok "\`reelmap health\` fails where no server is"

pid=$(inspect '{{.State.Pid}}')
if [[ -r /proc/$pid/mountinfo ]]; then
  read -r _ uid _ < <(grep '^Uid:' "/proc/$pid/status")
  [[ $uid = 65532 ]] || fail "it runs as user $uid"
  for mount in / /media; do
    mounted=$(awk -v at="$mount" '$5 == at { print $6 }' "/proc/$pid/mountinfo")
    [[ ,$mounted, = *,ro,* ]] || fail "$mount is mounted $mounted"
  done
  ok "it runs as user $uid; / and /media are mounted read-only"
fi

"$engine" export "$name" | tar -t | grep -v -E '/$|^(dev|proc|sys|etc|run|media)(/|$)|^\.dockerenv$' | sort >"$work/files"
[[ $(tr '\n' ' ' <"$work/files") = "licenses/LICENSE-APACHE licenses/LICENSE-MIT reelmap " ]] ||
  fail "there is more in it than the program and its licences: $(<"$work/files")"
ok "there is nothing in it but the program and its licences"

film=moov-first.mp4
curl -fsS -r 1000-1999 -o "$work/part" -D "$work/head" "$url/$film"
grep -q '^HTTP/1.1 206 ' "$work/head" || fail "a range gets $(head -n 1 "$work/head")"
cmp -s "$work/part" <(tail -c +1001 "fixtures/$film" | head -c 1000) || fail "a range gets other bytes"
curl -fsS "$url/$film" | cmp -s - "fixtures/$film" || fail "a film comes with other bytes"
[[ $(curl -fsS -H 'Accept: application/json' "$url/") = *'"moov-last.mp4"'* ]] || fail "the folder isn't listed"
ok "a range, a whole film and the listing come as they should"

curl -sS --limit-rate 16M -o "$work/large" "$url/large.mp4" &
download=$!
for _ in {1..50}; do [[ -s $work/large ]] && break; sleep 0.1; done
"$engine" kill --signal TERM "$name" >/dev/null
sleep 0.5
[[ $(inspect '{{.State.Running}}') = true ]] || fail "it ended before its answer did"
if curl -fsS --max-time 2 -o /dev/null "$url/$film" 2>/dev/null; then fail "it takes requests after SIGTERM"; fi
wait "$download" || fail "a download was cut by SIGTERM"
cmp -s "$work/large" "$media/large.mp4" || fail "a download was damaged by SIGTERM"
status=$(timeout 35 "$engine" wait "$name") || fail "it still runs after its drain"
[[ $status = 0 ]] || fail "it ended with status $status"
ok "SIGTERM: a download under way came whole, new requests were refused, then it ended with status 0"

"$engine" rm "$name" >/dev/null
options=(--name "$name" --read-only)
status=0
start --drain soon >/dev/null 2>"$work/said" || status=$?
[[ $status = 2 ]] || fail "a flag that makes no sense ends with status $status"
ok "a flag that makes no sense ends with status 2: $(grep -m 1 '^error:' "$work/said")"
echo "image: all is well"
