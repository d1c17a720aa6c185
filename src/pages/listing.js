// Plays a file in the page it is listed on. Where it plays and when stand in the location's hash,
// `#play=<name>&t=<seconds>`, so the address in the bar is always the link to share: of a film that is being sent it
// is the same as when it is whole. Who writes one may give any timecode as `t`.
'use strict';
{
  const $ = id => document.getElementById(id);
  const [player, media, title, now, jump, meaning, note, found, remarks, facts] =
    ['player', 'media', 'title', 'now', 'jump', 'meaning', 'note', 'found', 'remarks', 'facts'].map($);
  const [trouble, players, back, why, file, missing] =
    ['trouble', 'players', 'back', 'why', 'file', 'missing'].map($);
  const pageTitle = document.title;

  let current = null; // the link that plays
  let clicked = false; // whether it was to play at once
  let wanted = null; // seconds to go to as soon as the file's length is known
  let timer = null;
  let question = 0; // the number of the last one; an answer to an earlier one is too late

  // `90.5`, `1:30.5`, `00:01:30.500` in seconds; null for anything else.
  const seconds = text => {
    const match = /^(-?)(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)$/.exec(text.trim());
    if (!match) return null;
    const [, minus, h, m, s] = match;
    if ((m && s >= 60) || (h && m >= 60)) return null;
    const sum = (h ?? 0) * 3600 + (m ?? 0) * 60 + Number(s);
    return minus ? -sum : sum;
  };

  const clock = t => {
    const ms = Math.round(t * 1000);
    const [h, m] = [Math.floor(ms / 3600000), Math.floor(ms / 60000) % 60];
    const s = (ms % 60000 / 1000).toFixed(3).padStart(6, '0');
    return h ? `${h}:${String(m).padStart(2, '0')}:${s}` : `${m}:${s}`;
  };

  const say = text => {
    note.textContent = text;
    jump.setAttribute('aria-invalid', String(text !== ''));
  };

  // What browsers that don't play it may look at for long, or for ever while it is sent, before they say so.
  const strangers = {
    'video/mp2t': 'MPEG-TS', 'video/x-msvideo': 'AVI', 'video/x-flv': 'FLV', 'video/mpeg': 'MPEG-PS',
    'video/x-ms-wmv': 'Windows Media', 'video/x-ms-asf': 'Windows Media', 'video/x-la-asf': 'Windows Media',
  };
  const stranger = link => media.canPlayType(link.dataset.type) === '' && strangers[link.dataset.type];

  // The address of a film without a place to begin.
  const bare = link => link.origin + link.pathname;

  // It had been listed as being sent; by now it may be whole.
  const streams = link => link.search !== '';

  // The film comes from that address, and goes on if it was playing.
  const load = (address, plays = !media.paused) => {
    media.src = address;
    if (plays) media.play().catch(() => {}); // the error event says why
  };

  const fail = text => {
    trouble.textContent = text;
    const lines = ['mpv', 'ffplay', 'vlc'].map(program => `${program} '${current.href}'`);
    players.querySelectorAll('code').forEach((code, k) => { code.textContent = lines[k]; });
    players.hidden = false;
  };

  // How to see that moment, where the browser can't go there.
  const point = (text, at) => {
    why.textContent = text;
    back.querySelector('code').textContent = at === null ? '' : `mpv --start=${at.toFixed(3)} '${bare(current)}'`;
    back.querySelector('code').hidden = at === null;
    $('anew').hidden = media.hidden || media.src === bare(current);
    back.hidden = false;
  };

  const forget = () => {
    say('');
    found.textContent = remarks.textContent = '';
    back.hidden = true;
  };

  // Whether the film goes there; if not, the reason is said.
  const seek = t => {
    if (t < 0) say('Times begin at 0.');
    else if (t > media.duration) say(`That is past the end, ${clock(media.duration)}.`);
    else {
      say('');
      if (media.readyState === HTMLMediaElement.HAVE_NOTHING) wanted = t;
      else media.currentTime = t;
      return true;
    }
    return false;
  };

  // What the server answers about the film: `{ok, answer}`, where `ok` is null if it gave none. A promise that
  // isn't kept once another film is open.
  const ask = query => new Promise(answered => {
    const link = current;
    const tell = reply => { if (link === current) answered(reply); };
    fetch(`${link.href}${link.search ? '&' : '?'}${query}`)
      .then(async response => tell({ ok: response.ok, answer: await response.json() }))
      .catch(() => tell({ ok: null }));
  });

  const count = n => n.toLocaleString('en');
  const frames = n => `${count(n)} ${n === 1 ? 'frame' : 'frames'}`;

  // Whether the browser can go there in what it has of a stream. Chromium calls its zero seekable, and stalls there.
  const holds = t => [...Array(media.seekable.length).keys()]
    .some(k => media.seekable.start(k) <= t && t <= media.seekable.end(k) && media.seekable.end(k) > 0);

  // The server's sentences name its parameters.
  const inWordsOfThePage = detail => detail
    .replace('ask for it as tc', 'choose “as the timecode track”')
    .replace('ask without tc', 'choose “since the start”');

  // Goes to a moment of a film that had been listed as a stream.
  const rewind = (at, growing) => {
    if (holds(at)) media.currentTime = at;
    else if (growing) point('A browser can’t jump in a film that is still being sent. A player can:', at);
    else {
      load(bare(current));
      wanted = at;
    }
  };

  // A time is gone to at once, and told; a label is asked for first, and so is any time of a stream, whose end the
  // server knows, and of what doesn't play here.
  const go = async text => {
    const number = ++question;
    forget();
    if (text === '') return say('Type a moment, such as 1:30 or 00:01:30:12.');
    const t = meaning.value === 'at' ? seconds(text) : null;
    const asks = t === null || streams(current) || media.hidden;
    if (!asks && !seek(t)) return;
    const reply = await ask(`${meaning.value}=${encodeURIComponent(text)}`);
    if (number !== question) return;
    if (!reply.ok) {
      const { detail } = reply.answer ?? { detail: 'the server gives no answer' };
      if (asks) say(`${inWordsOfThePage(detail)}.`);
      return;
    }
    const { frame, sync, growing, notes } = reply.answer;
    // A little into the frame, since players cut times to their own clock.
    const at = t ?? frame.time.seconds + 0.0001;
    if (media.hidden) point('', at);
    else if (streams(current)) rewind(at, growing);
    else if (t === null && !seek(at)) return;
    const label = frame.label ? `, ${frame.label}` : '';
    found.textContent = `Frame ${count(frame.number)}${label}: byte ${count(frame.byte_offset)}, ` +
      `to be decoded from byte ${count(sync.byte_offset)}`;
    remarks.textContent = notes.map(note => `${note[0].toUpperCase()}${note.slice(1)}.`).join(' ');
  };

  // What kind of film it is, where the server knows.
  const describe = async () => {
    facts.textContent = '';
    meaning.hidden = true;
    meaning.value = 'at';
    const reply = await ask('info');
    if (!reply.ok) return;
    const { tracks, main_track, frames: total, start_timecode: start } = reply.answer;
    const [above, below] = (tracks.find(track => track.id === main_track)?.frame_rate ?? '0/1').split('/');
    const rate = above > 0 && `${frames(Number((above / below).toFixed(3)))} a second`;
    const number = total !== null && frames(total);
    facts.textContent = [rate, number, start && `timecode from ${start.label}`].filter(Boolean).join(', ');
    meaning.hidden = !start;
  };

  // A name is compared as text, since whoever passes a link on may decode or encode it anew.
  const key = link => link.getAttribute('href').slice(2).split('?')[0];
  const text = name => {
    try { return decodeURIComponent(name); } catch { return name; }
  };

  const remember = how => {
    clearTimeout(timer);
    timer = null;
    if (!current) return;
    const t = Math.round((wanted ?? media.currentTime) * 1000) / 1000;
    const hash = `#play=${key(current)}&t=${t}`;
    if (hash !== location.hash) history[how](null, '', hash);
  };
  // Browsers refuse an address that changes too often.
  const rememberSoon = () => { timer ??= setTimeout(remember, 1000, 'replaceState'); };

  const open = link => {
    if (current === link) return;
    current?.removeAttribute('aria-current');
    current = link;
    wanted = null;
    clicked = false;
    link.setAttribute('aria-current', 'true');
    title.replaceChildren(link.firstElementChild.cloneNode(true));
    document.title = `${title.textContent} – reelmap`;
    file.href = link.href;
    trouble.textContent = missing.textContent = jump.value = '';
    forget();
    players.hidden = true;
    now.textContent = clock(0);
    describe();
    media.className = link.dataset.play;
    const kind = stranger(link);
    media.hidden = Boolean(kind);
    if (kind) {
      empty();
      fail(`This browser plays no ${kind}.`);
    } else media.src = link.href;
    player.hidden = false;
  };

  const empty = () => {
    media.removeAttribute('src');
    media.load();
  };

  const close = () => {
    if (!current) return;
    current.removeAttribute('aria-current');
    current = wanted = null;
    empty();
    player.hidden = true;
    document.title = pageTitle;
  };

  // What the address names stands ready at its time; it plays when asked to.
  const follow = () => {
    const hash = new Map(location.hash.slice(1).split('&').map(part => part.split('=', 2)));
    const name = text(hash.get('play') ?? '');
    const link = [...document.querySelectorAll('a[data-play]')].find(a => text(key(a)) === name);
    missing.textContent = name && !link ? `There is no film ${name} in this folder.` : '';
    if (!link) return close();
    open(link);
    const at = text(hash.get('t') ?? '').trim();
    const t = at === '' ? 0 : seconds(at);
    if (t !== null && !streams(link) && !media.hidden) return seek(t);
    if (t === 0) return;
    jump.value = at;
    go(at);
  };

  document.addEventListener('click', event => {
    const link = event.target.closest('a[data-play]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    open(link);
    remember('pushState');
    clicked = true;
    if (!media.hidden) {
      media.play().catch(() => {}); // the error event says why
      media.focus({ preventScroll: true });
    }
    player.scrollIntoView({ block: 'start' });
  });
  $('go').addEventListener('submit', event => {
    event.preventDefault();
    go(jump.value.trim());
  });
  jump.addEventListener('input', () => say(''));
  $('close').addEventListener('click', () => {
    const link = current;
    close();
    history.pushState(null, '', location.pathname + location.search);
    link?.focus();
  });

  media.addEventListener('loadedmetadata', () => {
    const t = wanted;
    wanted = null;
    if (t) seek(t);
  });
  // A stream that can't be joined where it is now plays from its start, and the server's reason is shown.
  const startOver = async link => {
    load(bare(link), clicked); // for the error has stopped it
    const answer = await fetch(link.href).catch(() => null);
    if (answer?.ok) answer.body.cancel();
    else if (answer) {
      const reason = (await answer.text()).replace(/^\d+ [^:]*: /, '').trim();
      if (link === current) point(`It plays from its start: ${reason}`, null);
    }
  };
  media.addEventListener('error', () => {
    if (!current) return;
    const refused = media.error.code === MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED;
    if (refused && streams(current) && media.src === current.href) startOver(current);
    else fail('This browser cannot play the file here. Opening it may help.');
  });
  $('anew').addEventListener('click', () => {
    forget();
    load(bare(current), true);
  });
  for (const type of ['timeupdate', 'seeking', 'seeked']) {
    media.addEventListener(type, () => {
      now.textContent = clock(media.currentTime);
      rememberSoon();
    });
  }
  media.addEventListener('pause', () => remember('replaceState'));
  window.addEventListener('hashchange', follow);
  follow();
}
