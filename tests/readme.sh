#!/usr/bin/env bash
# Does what the README says: starts the server with its first command, then runs each line of its
# `sh` blocks that asks the server, as it stands. Then the same with the `shell` blocks, whose server
# takes streams: encoders go on while players watch, and are ended as by Ctrl-C. Port 8080 must be free.
#
#   tests/readme.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# The lines of the README's `sh` blocks that begin with one of these words.
lines() { awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside' README.md | grep -E "^($1) "; }

fail() { echo "readme: FAILED: $*" >&2; exit 1; }

if curl -s -o /dev/null http://127.0.0.1:8080/; then fail "port 8080 is taken"; fi
serve=$(lines 'cargo run')
[[ $(wc -l <<<"$serve") = 1 ]] || fail "there is to be one line that serves: $serve"
cargo build --release --locked

work=$(mktemp -d)
# shellcheck disable=SC2086 # The line is words.
$serve >"$work/access.log" 2>"$work/said" &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in {1..100}; do
  curl -s -o /dev/null http://127.0.0.1:8080/-/health && break
  kill -0 "$server" 2>/dev/null || fail "the server ended: $(<"$work/said")"
  sleep 0.1
done
echo "readme: $serve"

# Players find no screen here and need none.
mkdir -p "$work/config/mpv" "$work/here"
printf 'vo=null\nao=null\n' >"$work/config/mpv/mpv.conf"
count=0
while read -r line; do
  (cd "$work/here" && XDG_CONFIG_HOME=$work/config timeout 60 bash -euc "$line" </dev/null >"$work/out" 2>&1) ||
    fail "$line: $(tail -n 5 "$work/out")"
  echo "readme: $line"
  count=$((count + 1))
done < <(lines 'mkdir|curl|wget|mpv|ffmpeg|ffprobe')
while read -r line; do
  bash -euc "$line" >"$work/out" 2>&1 || fail "$line: $(tail -n 5 "$work/out")"
  echo "readme: $line"
done < <(lines 'target/release/reelmap')
((count > 3)) || fail "only $count lines were found"
cmp "$work/here/try/start.bin" <(head -c 1024 fixtures/moov-first.mp4) || fail "a range differs from the film"
cmp "$work/here/try/moov-first.mp4" fixtures/moov-first.mp4 || fail "a download differs from the film"
# From the sync frame of the frame asked to the film's end, which comes before 20 MiB are full.
cmp "$work/here/try/chunk.bin" <(tail -c +90247 fixtures/moov-first.mp4) || fail "a timecode led elsewhere"
if grep -E '" [45][0-9][0-9] ' "$work/access.log"; then fail "the server refused a request"; fi

kill -TERM "$server"
wait "$server" || fail "the server ended with status $?"
echo "readme: the server ended as it should"

# The lines of the README's `shell` blocks, but for comments.
shell() { awk '/^```shell$/ { inside = 1; next } /^```/ { inside = 0 } inside' README.md | grep -v '^#'; }

ln -s "$PWD/fixtures" "$work/here/fixtures"
export XDG_CONFIG_HOME=$work/config SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy
encoders=()

# Ends the encoders: those that send until then end well by that.
end_encoders() {
  local encoder status url
  for encoder in "${encoders[@]%% *}"; do kill -TERM "$encoder"; done
  for encoder in "${encoders[@]}"; do
    status=0
    wait "${encoder%% *}" || status=$?
    # ffmpeg's status after a signal.
    [[ $status = 255 ]] || fail "an encoder ended with status $status: $(cat "$work"/encoder-*)"
    url=${encoder#* }
    for _ in {1..100}; do
      if ! curl -sI "$url" | grep -qi '^upload-offset:'; then break; fi
      sleep 0.1
    done
  done
  encoders=()
}

while read -r line; do
  case $line in
    'cargo run '*)
      line="$PWD/target/release/reelmap ${line#*-- }"
      # shellcheck disable=SC2086 # The line is words.
      (cd "$work/here" && exec $line) >>"$work/access.log" 2>"$work/said" &
      server=$!
      for _ in {1..100}; do
        curl -s -o /dev/null http://127.0.0.1:8080/-/health && break
        kill -0 "$server" 2>/dev/null || fail "the server ended: $(<"$work/said")"
        sleep 0.1
      done
      ;;
    'ffmpeg -re '*)
      url=${line##* }
      (cd "$work/here" && exec timeout 120 bash -euc "exec $line" </dev/null >"$work/encoder-${#encoders[@]}" 2>&1) &
      encoders+=("$! $url")
      for _ in {1..100}; do
        if curl -sfI "$url" | grep -qi '^upload-offset: [1-9]'; then break; fi
        sleep 0.1
      done
      ;;
    'mpv '* | 'ffplay '*)
      # What they watch has no end: they are closed, as by q, if they didn't fail.
      status=0
      (cd "$work/here" && timeout 10 bash -euc "$line" </dev/null >"$work/out" 2>&1) || status=$?
      [[ $status = 0 || $status = 124 ]] || fail "$line: status $status, $(tail -n 5 "$work/out")"
      ;;
    *)
      if [[ $line = 'curl -X DELETE '* ]]; then end_encoders; fi
      (cd "$work/here" && timeout 60 bash -euc "$line" </dev/null >"$work/out" 2>&1) ||
        fail "$line: $(tail -n 5 "$work/out")"
      ;;
  esac
  echo "readme: $line"
done < <(shell)
cmp "$work/here/try/copy.mkv" fixtures/film.mkv || fail "an upload in parts differs from the film"
kill -TERM "$server"
wait "$server" || fail "the server ended with status $?"
echo "readme: streams were sent and watched"
