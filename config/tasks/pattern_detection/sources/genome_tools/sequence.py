import gzip
from collections import Counter, defaultdict
from itertools import islice

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def read_fasta(path):
    opener = gzip.open if str(path).endswith(".gz") else open
    name, chunks = None, []
    with opener(path, "rt") as handle:
        for line in handle:
            line = line.rstrip()
            if line.startswith(">"):
                if name:
                    yield name, "".join(chunks)
                name, chunks = line[1:].split()[0], []
            else:
                chunks.append(line.upper())
    if name:
        yield name, "".join(chunks)


def reverse_complement(seq):
    return seq.translate(COMPLEMENT)[::-1]


def kmer_counts(seq, k):
    counts = Counter()
    for i in range(len(seq) - k + 1):
        word = seq[i:i + k]
        if "N" in word:
            continue
        counts[word] += 1
    return counts


def codon_usage(seq, frame):
    usage = Counter()
    for i in range(frame, len(seq) - 2, 3):
        codon = seq[i:i + 3]
        if "N" in codon:
            continue
        usage[codon] += 1
    return usage


def minimizers(seq, k):
    chosen = set()
    for i in range(len(seq) - k + 1):
        word = seq[i:i + k]
        if "N" in word:
            continue
        chosen.add(min(word, reverse_complement(word)))
    return chosen


def shingle_counts(tokens, width):
    table = Counter()
    for start in range(len(tokens) - width + 1):
        gram = tokens[start:start + width]
        if None in gram:
            continue
        table[gram] += 1
    return table


def gc_windows(seq, size):
    out = []
    for start in range(0, len(seq), size):
        window = seq[start:start + size]
        gc = window.count("G") + window.count("C")
        out.append((start, gc / len(window)))
    return out


def at_windows(genome, width):
    """AT content along a chromosome, for the plot of the origin of replication."""
    result = []
    for pos in range(0, len(genome), width):
        piece = genome[pos:pos + width]
        at = piece.count("A") + piece.count("T")
        result.append((pos, at / len(piece)))
    return result


def gc_skew(seq, size):
    out = []
    for start in range(0, len(seq), size):
        window = seq[start:start + size]
        gc = window.count("G") - window.count("C")
        out.append((start, gc / len(window)))
    return out


def purine_windows(seq, size):
    out = []
    for start in range(0, len(seq), size):
        part = seq[start:start + size]
        purines = part.count("A") + part.count("G")
        out.append((start, purines / len(part)))
    return out


def group_by_length(records, limit):
    groups = defaultdict(list)
    for name, seq in islice(records, limit):
        groups[len(seq)].append(name)
    return dict(groups)
