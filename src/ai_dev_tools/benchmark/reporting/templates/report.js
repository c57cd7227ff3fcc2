"use strict";
(function () {
  const $ = (selector, root) => (root || document).querySelector(selector);
  const $$ = (selector, root) => Array.from((root || document).querySelectorAll(selector));

  // theme: the reader's choice, else the system's
  const root = document.documentElement;
  const remembered = (() => { try { return localStorage.getItem("theme"); } catch (e) { return null; } })();
  const system = matchMedia("(prefers-color-scheme: dark)");
  const setTheme = (name) => { root.dataset.theme = name; };
  setTheme(remembered || (system.matches ? "dark" : "light"));
  $("#theme").addEventListener("click", () => {
    setTheme(root.dataset.theme === "dark" ? "light" : "dark");
    try { localStorage.setItem("theme", root.dataset.theme); } catch (e) { /* a page from disk may not store */ }
  });
  let before = root.dataset.theme;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    setTheme("light");
    $$("details.fold").forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => setTheme(before));

  // a link into a folded part opens it
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const folded = target.matches(".folded") ? $("details.fold", target) : target.closest("details");
    if (folded && !folded.open) { folded.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  reveal();

  const save = (name, text, kind) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const csvCell = (text) => {
    const safe = /^\s*[=+\-@]/.test(text) && !/^-?[\d.,]+(e[-+]?\d+)?$/i.test(text) ? "'" + text : text;
    return /[",\n\r]/.test(safe) ? '"' + safe.replace(/"/g, '""') + '"' : safe;
  };

  // tables: sort by a column, filter by words, save what is shown
  $$("table.sortable").forEach((table) => {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    const block = table.closest(".table-block");
    const count = $(".count", block);
    const every = $(".every", block);
    const isShown = (row) => !row.hidden && (!every || every.checked || !row.classList.contains("quiet") || block.classList.contains("filtering"));
    const say = () => {
      const shown = rows.filter(isShown).length;
      const all = rows.length + (rows.length === 1 ? " row" : " rows");
      count.textContent = shown === rows.length ? all : shown + " of " + all;
    };
    const value = (row, column) => {
      const cell = row.cells[column];
      if (cell.dataset.v === undefined) return cell.textContent.toLowerCase();
      return cell.dataset.v === "" ? null : Number(cell.dataset.v.replace("inf", "Infinity"));
    };
    $$("thead th", table).forEach((head, column) => {
      $("button", head).addEventListener("click", () => {
        const way = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
        $$("thead th", table).forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", way);
        const sign = way === "ascending" ? 1 : -1;
        const keyed = rows.map((row, place) => [value(row, column), place, row]);
        keyed.sort((a, b) => {
          if (a[0] === null || b[0] === null) return (a[0] === null) - (b[0] === null) || a[1] - b[1];
          return (a[0] < b[0] ? -sign : a[0] > b[0] ? sign : 0) || a[1] - b[1];
        });
        body.append(...keyed.map((entry) => entry[2]));
      });
    });
    $(".filter", block).addEventListener("input", (event) => {
      const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      block.classList.toggle("filtering", words.length > 0);
      rows.forEach((row) => {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      });
      say();
    });
    $(".csv", block).addEventListener("click", () => {
      const lines = [Array.from(table.tHead.rows[0].cells), ...Array.from(body.rows).filter(isShown).map((row) => Array.from(row.cells))];
      const text = lines.map((cells) => cells.map((cell) => csvCell(cell.dataset.v !== undefined ? cell.dataset.v : cell.textContent.trim())).join(",")).join("\n");
      save(table.dataset.id + ".csv", text + "\n", "text/csv");
    });
    if (every) every.addEventListener("change", say);
    say();
  });

  // figures: the data behind one, and the picture as a file
  const figureData = (() => { const holder = $("#figure-data"); return holder ? JSON.parse(holder.textContent) : {}; })();
  $$(".figure-csv").forEach((button) => {
    const text = figureData[button.dataset.name];
    if (text === undefined) {
      const link = document.createElement("a");
      link.href = "../figures/" + button.dataset.name + ".csv";
      link.textContent = "Data (CSV file next to the report)";
      button.replaceWith(link);
      return;
    }
    button.addEventListener("click", () => save(button.dataset.name + ".csv", text, "text/csv"));
  });
  $$(".figure-svg").forEach((button) => button.addEventListener("click", () => {
    const picture = $("#figure-" + CSS.escape(button.dataset.name) + " svg").cloneNode(true);
    $$("[data-tip]", picture).forEach((mark) => {
      const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
      title.textContent = mark.dataset.tip;
      mark.removeAttribute("data-tip");
      mark.prepend(title);
    });
    const style = getComputedStyle(root);
    const text = new XMLSerializer().serializeToString(picture).replace(/var\((--[a-z0-9-]+)(?:,[^)]*)?\)/g, (all, name) => style.getPropertyValue(name).trim() || all);
    save(button.dataset.name + ".svg", text, "image/svg+xml");
  }));

  // figures: the value under the pointer, at once and in the page's own look
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  $$(".picture svg title").forEach((title) => {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  });
  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest && event.target.closest("[data-tip]");
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.dataset.tip;
    const place = (at, size, room) => Math.max(4, at + 14 + size > room ? at - 10 - size : at + 14);
    tip.style.left = place(event.clientX, tip.offsetWidth, innerWidth) + "px";
    tip.style.top = place(event.clientY, tip.offsetHeight, innerHeight) + "px";
  });
  addEventListener("scroll", () => { tip.hidden = true; }, true);

  // ---- sample browser: everything foreign goes through textContent
  const place = $("#browser");
  const modeHolder = $("#browser-mode");
  if (!place || !modeHolder) return;
  const folder = JSON.parse(modeHolder.textContent).folder;
  const parts = {};
  const waiting = {};
  window.benchmarkReport = { receive: (name, value) => { parts[name] = value; (waiting[name] || []).forEach((go) => go(value)); delete waiting[name]; } };
  const load = (name) => new Promise((resolve, reject) => {
    if (parts[name] !== undefined) { resolve(parts[name]); return; }
    const holder = document.getElementById("browser-" + name);
    if (holder) { parts[name] = JSON.parse(holder.textContent); resolve(parts[name]); return; }
    if (!folder) { reject(new Error("this report holds no such part")); return; }
    if (waiting[name]) { waiting[name].push(resolve); return; }
    waiting[name] = [resolve];
    const script = document.createElement("script");
    script.src = folder + "/" + name + ".js";
    script.onerror = () => { delete waiting[name]; reject(new Error(script.getAttribute("src") + " is missing next to the report")); };
    document.head.append(script);
  });
  const make = (tag, props, ...children) => {
    const element = document.createElement(tag);
    Object.entries(props || {}).forEach(([name, value]) => { if (name in element) element[name] = value; else element.setAttribute(name, value); });
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const fixed = (value, digits) => value === null || value === undefined ? "–" : Number(value).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

  const MODEL = 0, TASK = 1, CASE = 2, ARM = 3, STATUS = 4, SAMPLE = 5, REPEAT = 6, SCORE = 7, TOKENS = 8, TIME = 9, PART = 10, POSITION = 11;
  const COLUMNS = [["Model", MODEL], ["Task", TASK], ["Case", CASE], ["Approach", ARM], ["Sample", SAMPLE, 0], ["Status", STATUS], ["Score", SCORE, 3], ["Tokens", TOKENS, 0], ["Seconds", TIME, 2]];
  const PAGE = 25;

  const begin = ({ words, rows }) => {
    const word = (row, column) => words[row[column]];
    const state = { page: 0, sort: null, way: 1, shown: rows };
    const selects = {};
    const bar = make("div", { className: "tools no-print" });
    [["Model", MODEL], ["Task", TASK], ["Approach", ARM], ["Status", STATUS]].forEach(([label, column]) => {
      const values = Array.from(new Set(rows.map((row) => row[column]))).map((id) => words[id]).sort();
      const select = make("select", { "aria-label": label }, make("option", { value: "" }, "every " + label.toLowerCase()), ...values.map((value) => make("option", { value }, value)));
      select.addEventListener("change", () => refresh());
      selects[column] = select;
      if (values.length > 1) bar.append(select);
    });
    const search = make("input", { type: "search", placeholder: "case or number", "aria-label": "Search cases" });
    search.addEventListener("input", () => refresh());
    const count = make("span", { className: "count", role: "status" });
    bar.append(search, count);
    const body = make("tbody");
    const heads = COLUMNS.map(([label, column, digits]) => {
      const button = make("button", { type: "button" }, label);
      const head = make("th", { scope: "col", className: digits === undefined ? "" : "num", "aria-sort": "none" }, button);
      button.addEventListener("click", () => {
        state.way = state.sort === column ? -state.way : 1;
        state.sort = column;
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", state.way === 1 ? "ascending" : "descending");
        refresh();
      });
      return head;
    });
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body);
    const back = make("button", { type: "button" }, "‹ Back");
    const next = make("button", { type: "button" }, "Next ›");
    const where = make("span", {});
    back.addEventListener("click", () => { state.page -= 1; paint(); });
    next.addEventListener("click", () => { state.page += 1; paint(); });
    const detail = make("div", { className: "detail", id: "sample-detail", tabIndex: -1 });
    place.append(bar, make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Samples" }, table), make("div", { className: "tools no-print" }, back, where, next), detail);

    const refresh = () => {
      const wanted = search.value.toLowerCase().trim();
      state.shown = rows.filter((row) => Object.entries(selects).every(([column, select]) => !select.value || word(row, column) === select.value)
        && (!wanted || word(row, CASE).toLowerCase().includes(wanted) || String(row[SAMPLE]) === wanted));
      if (state.sort !== null) {
        const numeric = state.sort > STATUS;
        const key = (row) => numeric ? row[state.sort] : word(row, state.sort);
        state.shown.sort((a, b) => {
          const x = key(a), y = key(b);
          if (x === null || y === null) return (x === null) - (y === null);
          return x < y ? -state.way : x > y ? state.way : 0;
        });
      }
      state.page = 0;
      paint();
    };
    const paint = () => {
      const pages = Math.max(1, Math.ceil(state.shown.length / PAGE));
      state.page = Math.min(Math.max(0, state.page), pages - 1);
      count.textContent = state.shown.length + " of " + rows.length + (rows.length === 1 ? " sample" : " samples");
      where.textContent = "page " + (state.page + 1) + " of " + pages;
      back.disabled = state.page === 0;
      next.disabled = state.page === pages - 1;
      body.replaceChildren(...state.shown.slice(state.page * PAGE, (state.page + 1) * PAGE).map((row) => {
        const cells = COLUMNS.map(([, column, digits]) => digits === undefined
          ? make("td", { className: word(row, column).length < 30 ? "short" : "" }, word(row, column))
          : make("td", { className: "num" }, fixed(row[column], digits)));
        const open = make("button", { type: "button", className: "open" }, word(row, CASE));
        open.addEventListener("click", () => show(row, true));
        cells[2].replaceChildren(open);
        return make("tr", { className: word(row, STATUS) }, ...cells);
      }));
    };
    const pre = (title, text) => text === null || text === undefined ? null : make("div", {}, make("h4", {}, title), make("pre", { dir: "auto", tabIndex: 0 }, text));
    const failed = (error) => make("p", { className: "notice error" }, "Cannot show this: " + error.message);

    const show = async (row, scroll) => {
      try {
        const part = await load("samples-" + row[PART]);
        const one = part[row[POSITION]];
        const name = [word(row, MODEL), word(row, TASK), word(row, ARM), row[SAMPLE]].join("/");
        const close = make("button", { type: "button" }, "Close");
        close.addEventListener("click", () => detail.replaceChildren());
        const link = make("a", { href: "#sample=" + encodeURIComponent(name) }, "link to this sample");
        const children = [make("div", { className: "tools no-print" }, close, link), make("h3", {}, name + " · " + word(row, CASE)),
          make("p", { className: "muted" }, word(row, STATUS) + ", score " + fixed(row[SCORE], 3) + ", " + fixed(row[TOKENS], 0) + " tokens, " + fixed(row[TIME], 2) + " s")];
        if (one.error) children.push(make("p", { className: "notice error" }, one.error));
        if (one.turns) children.push(...episode(one));
        children.push(pre(one.turns ? "Last message of the model" : "Answer of the model", one.response));
        if (one.answer === null && one.response !== null && !one.error) children.push(make("p", { className: "notice warning" }, "This answer could not be parsed as JSON" + (row[SCORE] === null ? "." : " and scores 0.")));
        if (one.fields.length) children.push(make("h4", {}, "Score per field"), grid(["Field", "Scorer", "Weight", "Score", "Expected", "Given"], one.fields.map((f) => [f[0], f[1], f[2], fixed(f[3], 3), f[4] ?? "–", f[5] ?? "–"])));
        else children.push(pre("Truth", one.truth));
        children.push(make("h4", {}, "Arms of this case side by side"), await arms(row));
        const prompt = make("details", {}, make("summary", {}, "Prompt"));
        prompt.addEventListener("toggle", async () => {
          if (!prompt.open || prompt.children.length > 1) return;
          try {
            const text = one.prompt ? (await load("prompts-" + one.prompt[0]))[one.prompt[1]] : "The prompt of this sample is no longer among the rendered prompts.";
            prompt.append(make("pre", { dir: "auto", tabIndex: 0 }, text));
          } catch (error) { prompt.append(failed(error)); }
        });
        children.push(prompt);
        children.push(make("details", {}, make("summary", {}, "Timings and provenance"), grid(["What", "Value"], Object.entries(one.facts))));
        detail.replaceChildren(...children.filter(Boolean));
      } catch (error) { detail.replaceChildren(failed(error)); }
      if (scroll) { detail.scrollIntoView({ block: "nearest" }); detail.focus({ preventScroll: true }); }
    };
    const grid = (names, lines) => make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": names.join(", ") }, make("table", {},
      make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...lines.map((line) => make("tr", {}, ...line.map((cell) => make("td", {}, String(cell))))))));
    const episode = ({ turns, rest }) => [make("h4", {}, "Turn by turn"),
      rest ? make("p", { className: "muted" }, "Long texts are shortened here. " + rest + " in the run's folder has all that the model said, and the first 2,000 characters of what came back.") : null,
      ...turns.map((turn, place) => {
      const [read, cached, written, seconds, tool] = turn.numbers;
      const told = (turn.action || "no action") + (turn.tool ? " (the judged tool)" : "") + " · read " + fixed(read, 0)
        + (cached ? " (" + fixed(cached, 0) + " cached)" : "") + ", wrote " + fixed(written, 0) + " tokens · " + fixed(seconds, 2) + " s"
        + (tool ? " + " + fixed(tool, 2) + " s tool" : "") + (turn.result_bytes ? " · " + fixed(turn.result_bytes, 0) + " bytes came back" : "");
      const parts = [make("summary", {}, (place + 1) + ". " + told), pre("Asked", turn.asked), pre("The model", turn.said), pre("What came back", turn.result)];
      if (turn.error) parts.push(make("p", { className: "notice error" }, turn.error));
      return make("details", { className: "turn" }, ...parts.filter(Boolean));
    })];
    const arms = async (row) => {
      const same = rows.filter((other) => other[MODEL] === row[MODEL] && other[TASK] === row[TASK] && other[CASE] === row[CASE] && other[REPEAT] === row[REPEAT]);
      const cards = await Promise.all(same.map(async (other) => {
        const one = (await load("samples-" + other[PART]))[other[POSITION]];
        const title = make("button", { type: "button", className: "open" }, word(other, ARM));
        title.addEventListener("click", () => show(other, true));
        return make("div", { className: "arm" + (other === row ? " here" : "") }, title,
          make("p", {}, "score " + fixed(other[SCORE], 3) + " · " + fixed(other[TOKENS], 0) + " tokens · " + fixed(other[TIME], 2) + " s"),
          make("pre", { dir: "auto", tabIndex: 0 }, one.error ?? one.response ?? "no answer"));
      }));
      return make("div", { className: "arms" }, ...cards);
    };
    const narrow = () => {
      const wanted = new URLSearchParams(location.hash.slice("#filter=".length));
      [["model", MODEL], ["task", TASK], ["approach", ARM], ["status", STATUS]].forEach(([name, column]) => { selects[column].value = wanted.get(name) || ""; });
      search.value = "";
      refresh();
      place.scrollIntoView();
      ($("button.open", body) || place).focus({ preventScroll: true });
    };
    const follow = () => {
      if (location.hash.startsWith("#filter=")) { narrow(); return; }
      if (!location.hash.startsWith("#sample=")) return;
      const name = decodeURIComponent(location.hash.slice(8));
      const row = rows.find((each) => [word(each, MODEL), word(each, TASK), word(each, ARM), each[SAMPLE]].join("/") === name);
      if (row) show(row, true);
    };
    addEventListener("hashchange", follow);
    refresh();
    follow();
  };
  load("index").then(begin, (error) => place.append(make("p", { className: "empty" }, "No samples to browse: " + error.message)));
})();
