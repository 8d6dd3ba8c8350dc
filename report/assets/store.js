// The completions: a catalogue of all, and texts in compressed chunks that are unpacked
// when they are needed.
"use strict";

(function () {
  if (!document.getElementById("catalogue")) return;
  const keep = 64e6; // characters of text that stay unpacked

  function bytes(base64) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
    return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  }

  // unpack reads a data block: base64, gzip, JSON.
  async function unpack(id) {
    const packed = bytes(document.getElementById(id).textContent);
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  // Store knows of completion i, from 0 to total - 1: its shard, persona, question and
  // number among those, and whether it has the marker.
  class Store {
    constructor(catalogue) {
      Object.assign(this, catalogue);
      this.shard = new Uint16Array(this.total);
      this.persona = new Uint16Array(this.total);
      this.question = new Uint16Array(this.total);
      this.number = new Uint16Array(this.total);
      let i = 0;
      for (let b = 0; b < this.blocks.length; b += 4) {
        for (let k = 0; k < this.blocks[b + 3]; k++, i++) {
          this.shard[i] = this.blocks[b];
          this.persona[i] = this.blocks[b + 1];
          this.question[i] = this.blocks[b + 2];
          this.number[i] = k;
        }
      }
      this.bits = bytes(this.marks || "");
      this.starts = [];
      let start = 0;
      for (const n of this.chunks) {
        this.starts.push(start);
        start += n;
      }
      this.open = new Map(); // chunk: promise of texts, the least recently used first
      this.ready = new Map(); // chunk: texts
      this.size = 0;
    }

    hasMarker(i) { return (this.bits[i >> 3] >> (i & 7)) & 1; }

    chunkOf(i) {
      let lo = 0, hi = this.starts.length - 1;
      while (lo < hi) {
        const middle = (lo + hi + 1) >> 1;
        if (this.starts[middle] <= i) lo = middle;
        else hi = middle - 1;
      }
      return lo;
    }

    // texts are those of a chunk.
    texts(chunk) {
      let promise = this.open.get(chunk);
      if (promise) {
        this.open.delete(chunk);
      } else {
        promise = unpack("chunk-" + chunk).then((texts) => {
          this.ready.set(chunk, texts);
          this.size += length(texts);
          this.trim(chunk);
          return texts;
        });
      }
      this.open.set(chunk, promise);
      return promise;
    }

    trim(latest) {
      for (const chunk of this.open.keys()) {
        if (this.size <= keep) return;
        if (chunk === latest || !this.ready.has(chunk)) continue;
        this.size -= length(this.ready.get(chunk));
        this.ready.delete(chunk);
        this.open.delete(chunk);
      }
    }

    // text is a completion's, or undefined while its chunk is still packed.
    text(i) {
      const chunk = this.chunkOf(i);
      return this.ready.get(chunk)?.[i - this.starts[chunk]];
    }
  }

  function length(texts) {
    let n = 0;
    for (const t of texts) n += t.length;
    return n;
  }

  PP.openStore = async () => new Store(await unpack("catalogue"));
})();
