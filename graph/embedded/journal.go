package embedded

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
)

// journal is the text of a log or a manifest of the engine's: blocks of 32 KiB that hold chunks, one or more to a
// record (github.com/cockroachdb/pebble/v2/record has the format). The engine takes whatever it cannot read for the
// end, as a crash in the middle of a write leaves it; here it is looked whether it can be one.
type journal struct {
	text []byte
	// log is the file's number, which every chunk of a log has; a manifest's have none.
	log      uint32
	manifest bool
}

const (
	journalBlock = 32 << 10
	// fullChunk to lastChunk, with two offsets for the formats of manifests and logs.
	fullChunk, firstChunk, middleChunk, lastChunk = 0, 1, 2, 3
	manifestChunks, logChunks                     = 1, 5
	// A header is checksum, length, kind and in a log its number.
	manifestHeader, logHeader = 7, 11
	// paddingBound is more than an unused end of a block has.
	paddingBound = 19
)

// ends says where a journal's records end.
type ends struct {
	// at is behind the last record that is read from the start on.
	at int64
	// records are how many those are; next is the number that the engine gives what is written behind them.
	records int
	next    uint64
	// promised is up to where the records of a log say that what comes before the log was durable, 0 for nothing.
	promised uint64
	// unflushed is the first log whose records a manifest's tables do not have.
	unflushed uint64
	// closed is set where the engine says that no more will come.
	closed bool
	// damage says how it is known that there was more; empty where it is not known.
	damage string
}

// have is an error where a log, named for it, lacks a commit before that number. One without commits was begun behind
// others.
func (e ends) have(acknowledged uint64, file string) error {
	if e.records > 0 && e.next < acknowledged {
		return lostFile(file, "it lacks commits that were acknowledged")
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunkSum is the checksum of a chunk, from its kind on.
func chunkSum(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

func (j journal) blockEnd(at int) int { return min((at/journalBlock+1)*journalBlock, len(j.text)) }

// chunk reads the chunk at a place; end is behind it.
func (j journal) chunk(at int) (kind byte, payload []byte, end int, ok bool) {
	header, kinds := logHeader, byte(logChunks)
	if j.manifest {
		header, kinds = manifestHeader, manifestChunks
	}
	b := j.text[at:j.blockEnd(at)]
	if len(b) < header || b[6] < kinds || b[6] > kinds+lastChunk {
		return 0, nil, 0, false
	}
	end = header + int(binary.LittleEndian.Uint16(b[4:]))
	if !j.manifest && binary.LittleEndian.Uint32(b[7:]) != j.log {
		return 0, nil, 0, false
	}
	if end > len(b) || chunkSum(b[6:end]) != binary.LittleEndian.Uint32(b) {
		return 0, nil, 0, false
	}
	return b[6] - kinds, b[header:end], at + end, true
}

// unpadded passes over the end of a block that no chunk fits into.
func (j journal) unpadded(at int) int {
	end := j.blockEnd(at)
	rest := j.text[at:end]
	if looked := min(len(rest), manifestHeader); len(rest) < manifestHeader ||
		len(rest) < logHeader && zeros(rest[:looked]) || len(rest) < paddingBound && zeros(rest) {
		return end
	}
	return at
}

func zeros(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// record reads the record that begins at a place.
func (j journal) record(at int) (record []byte, end int, ok bool) {
	for first := true; ; first = false {
		if _, _, _, there := j.chunk(at); !there {
			at = j.unpadded(at)
		}
		kind, payload, behind, ok := j.chunk(at)
		if !ok || first != (kind == fullChunk || kind == firstChunk) {
			return nil, at, false
		}
		record, at = append(record, payload...), behind
		if kind == fullChunk || kind == lastChunk {
			return record, at, true
		}
	}
}

// ends reads the journal.
func (j journal) ends() (e ends) {
	at, first := 0, uint64(0)
	for {
		record, end, ok := j.record(at)
		if !ok {
			break
		}
		at = end
		e.at, e.records = int64(end), e.records+1
		if j.manifest {
			e.unflushed = cmp.Or(firstLog(record), e.unflushed)
			continue
		}
		h, durable := promised(record)
		if e.next = uint64(h.SeqNum) + uint64(h.Count); e.records == 1 {
			first = uint64(h.SeqNum)
		}
		if durable <= first {
			e.promised = max(e.promised, durable)
		}
	}
	stop := j.unpadded(at)
	e.closed = j.closedAt(stop)
	e.damage = j.damage(e, stop)
	return e
}

// firstLog reads, of a record of a manifest, which log is the first that is still needed; 0 where it does not say.
// The engine writes that first, behind the name of the order of the keys (internal/manifest/version_edit.go).
func firstLog(record []byte) uint64 {
	const comparator, log = 1, 2
	var n [2]uint64
	for i := range n {
		size := 0
		if n[i], size = binary.Uvarint(record); size <= 0 {
			return 0
		}
		if record = record[size:]; i == 1 && n[0] == comparator && n[1] <= uint64(len(record)) {
			return firstLog(record[n[1]:])
		}
	}
	if n[0] != log {
		return 0
	}
	return n[1]
}

// trailer is what the engine writes when it closes a log.
func (j journal) trailer() []byte {
	return binary.LittleEndian.AppendUint32([]byte{0, 0, 0, 0, 0, 0, logChunks}, j.log+1)
}

func (j journal) closedAt(at int) bool {
	return !j.manifest && bytes.HasPrefix(j.text[at:j.blockEnd(at)], j.trailer())
}

// damage looks behind the place where the records stop, which a crash may have cut short. A manifest is synced after
// each record, so that none comes behind one that is not whole. Of a log the records behind may have come to the disk
// before those that were written with them; but one that says that what is not there was durable proves that it is
// lost. It is only believed where its number is one that a record there can have: each key takes a byte or more.
func (j journal) damage(e ends, stop int) string {
	mark := j.text[stop:j.blockEnd(stop)]
	if !e.closed && !j.manifest && len(mark) >= logHeader && bytes.Equal(mark[6:logHeader], j.trailer()[6:]) {
		return fmt.Sprintf("the mark of its end, at byte %d, is damaged", stop)
	}
	lost, known := e.next+1, e.records > 0
	for at := stop; ; {
		start, found := j.search(at)
		if !found {
			return ""
		}
		record, end, whole := j.record(start)
		if !whole {
			at = start + 1
			continue
		}
		at = end
		if j.manifest {
			return fmt.Sprintf("it cannot be read at byte %d, and there is more at byte %d", stop, start)
		}
		h, durable := promised(record)
		if e.records > 0 && uint64(h.SeqNum)-e.next > uint64(start-stop) {
			continue
		}
		if !known { // all that is missing came before this one
			lost, known = uint64(h.SeqNum), true
		}
		if durable >= lost && durable <= uint64(h.SeqNum) {
			return fmt.Sprintf("it cannot be read at byte %d, and what is at byte %d says that it was durable", stop, start)
		}
	}
}

// search finds the next chunk that begins a record.
func (j journal) search(at int) (int, bool) {
	number := binary.LittleEndian.AppendUint32(nil, j.log)
	for ; at+logHeader <= len(j.text); at++ {
		if !j.manifest {
			next := bytes.Index(j.text[at+manifestHeader:], number)
			if next < 0 {
				return 0, false
			}
			at += next
		}
		if kind, _, _, ok := j.chunk(at); ok && (kind == fullChunk || kind == firstChunk) {
			return at, true
		}
	}
	return 0, false
}

const promiseHead = "durable "

// promise is what each commit says in the log, and nowhere else, of those before it: the number behind the last one
// that was durable. It is the last thing in a record.
func promise(durable uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(promiseHead), durable)
}

// promised reads a record of a log; durable is 0 where it promises nothing.
func promised(record []byte) (h batchrepr.Header, durable uint64) {
	h, _ = batchrepr.ReadHeader(record)
	head := append([]byte{byte(pebble.InternalKeyKindLogData), byte(len(promiseHead) + 8)}, promiseHead...)
	if at := len(record) - 8; at >= len(head) && bytes.HasSuffix(record[:at], head) {
		durable = binary.BigEndian.Uint64(record[at:])
	}
	return h, durable
}
