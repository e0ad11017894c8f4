package connect

import "bytes"

// split cuts a text into lines, each with its line end: "\r\n" stays, and so does the lack of one at the end of the file.
func split(text []byte) []string {
	var lines []string
	for l := range bytes.Lines(text) {
		lines = append(lines, string(l))
	}
	return lines
}

// maxEdits bounds the work of comparing two files. Above it the middle of them counts as different from first line to last,
// which is never wrong, only long.
const maxEdits = 4000

// match returns for each line of a which line of b it is, -1 for none. The pairs ascend on both sides (a longest common
// subsequence; E. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986).
func match(a, b []string) []int {
	to := make([]int, len(a))
	for i := range to {
		to[i] = -1
	}
	lo := 0
	for lo < len(a) && lo < len(b) && a[lo] == b[lo] {
		to[lo] = lo
		lo++
	}
	hiA, hiB := len(a), len(b)
	for hiA > lo && hiB > lo && a[hiA-1] == b[hiB-1] {
		hiA--
		hiB--
		to[hiA] = hiB
	}
	for _, p := range myers(a[lo:hiA], b[lo:hiB]) {
		to[lo+p[0]] = lo + p[1]
	}
	return to
}

// myers returns the pairs of equal lines on a shortest way from a to b, backwards; none where it is longer than maxEdits.
func myers(a, b []string) [][2]int {
	most := min(len(a)+len(b), maxEdits)
	v := make([]int32, 2*most+3) // furthest x on diagonal k, at k+most+1
	var trace [][]int32
	at := func(v []int32, k int) int { return int(v[k+most+1]) }
	for d := 0; d <= most; d++ {
		for k := -d; k <= d; k += 2 {
			x := at(v, k-1) + 1
			if k == -d || k != d && at(v, k-1) < at(v, k+1) {
				x = at(v, k+1)
			}
			if d == 0 {
				x = 0
			}
			y := x - k
			for x < len(a) && y < len(b) && x >= 0 && y >= 0 && a[x] == b[y] {
				x, y = x+1, y+1
			}
			v[k+most+1] = int32(x)
			if x >= len(a) && y >= len(b) {
				return back(a, b, trace, d)
			}
		}
		trace = append(trace, append([]int32(nil), v[most+1-d:most+2+d]...))
	}
	return nil
}

// back walks from the end of both texts to their beginning and notes the lines that are equal. trace[d] holds the diagonals
// -d to d as they were after d edits.
func back(a, b []string, trace [][]int32, d int) [][2]int {
	var pairs [][2]int
	x, y := len(a), len(b)
	for ; d > 0; d-- {
		last := trace[d-1]
		at := func(k int) int {
			if k < -(d-1) || k > d-1 {
				return -1
			}
			return int(last[k+d-1])
		}
		k := x - y
		from := k - 1
		if k == -d || k != d && at(k-1) < at(k+1) {
			from = k + 1
		}
		startX := at(from)
		startY := startX - from
		for x > startX && y > startY && a[x-1] == b[y-1] {
			x, y = x-1, y-1
			pairs = append(pairs, [2]int{x, y})
		}
		x, y = startX, startY
	}
	for x > 0 && y > 0 {
		x, y = x-1, y-1
		pairs = append(pairs, [2]int{x, y})
	}
	return pairs
}

// hunk is a run of lines of a that became a run of lines of b.
type hunk struct{ a0, a1, b0, b1 int }

// hunks returns where a and b differ.
func hunks(a, b []string) []hunk {
	to := match(a, b)
	var out []hunk
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		if i < len(a) && to[i] == j {
			i, j = i+1, j+1
			continue
		}
		h := hunk{a0: i, b0: j}
		for i < len(a) && to[i] < 0 {
			i++
		}
		if i < len(a) {
			j = to[i]
		} else {
			j = len(b)
		}
		h.a1, h.b1 = i, j
		out = append(out, h)
	}
	return out
}
