// Plays a file in the page it is listed on. Where it plays and when stand in the location's hash,
// `#play=<name>&t=<seconds>`, so the address in the bar is always the link to share. Who writes one may give
// any timecode as `t`.
'use strict';
{
  const $ = id => document.getElementById(id);
  const [player, media, title, now, jump, meaning, note, found, facts, trouble, file, missing] =
    ['player', 'media', 'title', 'now', 'jump', 'meaning', 'note', 'found', 'facts', 'trouble', 'file', 'missing'].map($);
  const pageTitle = document.title;

  let current = null; // the link that plays
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

  // Whether the browser can go there in what it has of a stream.
  const holds = t => [...Array(media.seekable.length).keys()]
    .some(k => media.seekable.start(k) <= t && t <= media.seekable.end(k));

  // A time is gone to at once, and told; a label is asked for first, and so is any time of a stream, whose end the
  // server knows.
  const go = async text => {
    const number = ++question;
    found.textContent = '';
    const t = meaning.value === 'at' ? seconds(text) : null;
    const grows = current.search !== '';
    if (t !== null && !grows && !seek(t)) return;
    const reply = await ask(`${meaning.value}=${encodeURIComponent(text)}`);
    if (number !== question) return;
    if (!reply.ok) {
      const { detail } = reply.answer ?? { detail: 'the server gives no answer' };
      if (t === null || grows) say(`${detail}.`);
      return;
    }
    const { frame, sync } = reply.answer;
    // A little into the frame, since players cut times to their own clock.
    if (grows) {
      say('');
      const at = t ?? frame.time.seconds + 0.0001;
      if (holds(at)) media.currentTime = at;
    } else if (t === null && !seek(frame.time.seconds + 0.0001)) return;
    const label = frame.label ? `, ${frame.label}` : '';
    found.textContent = `Frame ${count(frame.number)}${label}: byte ${count(frame.byte_offset)}, ` +
      `to be decoded from byte ${count(sync.byte_offset)}`;
  };

  // What kind of film it is, where the server knows.
  const describe = async () => {
    found.textContent = facts.textContent = '';
    meaning.hidden = true;
    meaning.value = 'at';
    const reply = await ask('info');
    if (!reply.ok) return;
    const { tracks, main_track, frames, start_timecode: start } = reply.answer;
    const [above, below] = (tracks.find(track => track.id === main_track)?.frame_rate ?? '0/1').split('/');
    const rate = above > 0 && `${Number((above / below).toFixed(3))} frames a second`;
    const number = frames !== null && `${count(frames)} frames`;
    facts.textContent = [rate, number, start && `timecode from ${start.label}`].filter(Boolean).join(', ');
    meaning.hidden = !start;
  };

  // A name is compared as text, since whoever passes a link on may decode or encode it anew.
  const key = link => link.getAttribute('href').slice(2);
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
    link.setAttribute('aria-current', 'true');
    title.replaceChildren(link.firstElementChild.cloneNode(true));
    document.title = `${title.textContent} – reelmap`;
    file.href = link.href;
    trouble.textContent = missing.textContent = jump.value = '';
    say('');
    now.textContent = clock(0);
    describe();
    media.className = link.dataset.play;
    media.src = link.href;
    player.hidden = false;
  };

  const close = () => {
    if (!current) return;
    current.removeAttribute('aria-current');
    current = wanted = null;
    media.removeAttribute('src');
    media.load();
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
    if (t !== null) return seek(t);
    jump.value = at;
    go(at);
  };

  document.addEventListener('click', event => {
    const link = event.target.closest('a[data-play]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    open(link);
    remember('pushState');
    media.play().catch(() => {}); // the error event says why
    media.focus({ preventScroll: true });
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
  media.addEventListener('error', () => {
    if (current) trouble.textContent = 'This browser cannot play the file here. Opening it may help.';
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
