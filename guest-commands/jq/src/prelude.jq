def values: select(. != null);
def nulls: select(. == null);
def booleans: select(type == "boolean");
def numbers: select(type == "number");
def strings: select(type == "string");
def arrays: select(type == "array");
def objects: select(type == "object");
def iterables: select(type | . == "array" or . == "object");
def scalars: select(type | . != "array" and . != "object");
def scalars_or_empty: scalars;
def finites: select(isinfinite or isnan | not);
def normals: select(isnormal);
def isvalid(f): try (f | true) catch false;
def isfinite: type == "number" and (isinfinite | not);
def select(f): if f then . else empty end;
def map(f): [.[] | f];
def map_values(f): .[] |= f;
def recurse(f): def r: ., (f | r); r;
def recurse(f; cond): def r: ., (f | select(cond) | r); r;
def recurse: recurse(.[]?);
def recurse_down: recurse;
def to_entries: [keys_unsorted[] as $k | {key: $k, value: .[$k]}];
def from_entries: reduce .[] as $e ({}; . + _entry($e));
def with_entries(f): to_entries | map(f) | from_entries;
def add(f): reduce f as $x (null; . + $x);
def del(f): delpaths([path(f)]);
def paths: path(..) | select(length > 0);
def paths(f): . as $in | paths | select(. as $p | $in | getpath($p) | f);
def leaf_paths: paths(scalars);
def pick(f): . as $in | reduce path(f) as $p (null; setpath($p; $in | getpath($p)));
def _assign(paths; $value): reduce path(paths) as $p (.; setpath($p; $value));
def _modify(paths; f):
  [path(paths)] as $all
  | reduce $all[] as $p ([., []];
      [label $out | (.[0] | getpath($p) | f | [.], break $out)] as $new
      | if $new == [] then .[1] += [$p] else setpath([0] + $p; $new[0][0]) end)
  | .[1] as $gone | .[0] | delpaths($gone);
def any: reduce .[] as $x (false; . or $x);
def all: reduce .[] as $x (true; . and $x);
def any(f): isempty(first(.[] | f | select(.))) | not;
def all(f): isempty(first(.[] | f | select(. | not)));
def any(g; f): isempty(first(g | f | select(.))) | not;
def all(g; f): isempty(first(g | f | select(. | not)));
def isempty(g): label $go | (g | false, break $go), true | ., break $go;
def in(o): . as $k | o | has($k);
def inside(o): . as $x | o | contains($x);
def first(f): label $out | f | ., break $out;
def last(f): reduce f as $x (null; $x);
def first: .[0];
def last: .[-1];
def nth($n): .[$n];
def nth($n; f): if $n < 0 then error("Out of bounds negative array index") else last(limit($n + 1; f)) end;
def limit($n; f):
  if $n > 0 then label $out | foreach f as $item (0; . + 1; $item, if . >= $n then break $out else empty end)
  elif $n == 0 then empty else f end;
def skip($n; f): if $n > 0 then foreach f as $item ($n; . - 1; if . < 0 then $item else empty end) else f end;
def until(cond; f): def r: if cond then . else (f | r) end; r;
def while(cond; f): def r: if cond then ., (f | r) else empty end; r;
def repeat(f): def r: ., (f | r); r;
def inputs: def r: (try input catch if . == "No more inputs" then empty else error end) | (., r); r;
def combinations: if length == 0 then [] else .[0][] as $x | (.[1:] | combinations) as $w | [$x] + $w end;
def combinations(n): . as $dot | [range(n)] | map($dot) | combinations;
def walk(f): def w: if type == "object" then map_values(w) elif type == "array" then map(w) else . end | f; w;
def env: $ENV;
def transpose: if . == [] then [] else . as $in | (map(length) | max) as $n | [range($n) as $j | [range($in | length) as $i | $in[$i][$j]]] end;
def ascii: [.] | implode;
def todate: strftime("%Y-%m-%dT%H:%M:%SZ");
def todateiso8601: strftime("%Y-%m-%dT%H:%M:%SZ");
def fromdateiso8601: strptime("%Y-%m-%dT%H:%M:%SZ") | mktime;
def fromdate: fromdateiso8601;
def date: todate;
def dateadd(u; n): . + n;
def datesub(u; n): . - n;
def match(re; $flags): _match(re; $flags; false) | .[];
def match($v): if $v | type == "array" then match($v[0]; $v[1]) else match($v; null) end;
def test(re; $flags): _match(re; $flags; true);
def test($v): if $v | type == "array" then test($v[0]; $v[1]) else test($v; null) end;
def _capture: [.captures[] | select(.name != null) | {key: .name, value: .string}] | from_entries;
def capture(re; $flags): match(re; $flags) | _capture;
def capture($v): match($v) | _capture;
def scan($re; $flags): match($re; "g" + $flags) | if (.captures | length) > 0 then [.captures[].string] else .string end;
def scan($re): scan($re; null);
def split($re; $flags): . as $s | [match($re; "g" + $flags)] | _split_at($s; .);
def splits($re; $flags): split($re; $flags) | .[];
def splits($re): splits($re; null);
def sub($re; str; $flags): . as $in | [match($re; $flags)] as $edits
  | def texts($i): if $i == ($edits | length) then [] else ($edits[$i] | _capture | str) as $s | [$s] + texts($i + 1) end;
    [$edits[] | [_capture | str]] as $choices
  | if all($choices[]; length == 1) then _splice($in; $edits; [$choices[][0]]) else _splice($in; $edits; texts(0)) end;
def sub($re; str): sub($re; str; "");
def gsub($re; str; $flags): sub($re; str; $flags + "g");
def gsub($re; str): sub($re; str; "g");
def sort_by(f): _sort_by(map([f]));
def group_by(f): _group_by(map([f]));
def unique_by(f): [group_by(f)[] | .[0]];
def min_by(f): _min_by(map([f]));
def max_by(f): _max_by(map([f]));
def tostream: path(def r: (.[]? | r), .; r) as $p | getpath($p) | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);
def fromstream(f): {x: null, e: false} as $init
  | foreach f as $i ($init;
      if .e then $init else . end
      | if $i | length == 2
        then setpath(["e"]; $i[0] | length == 0) | setpath(["x"] + $i[0]; $i[1])
        else setpath(["e"]; $i[0] | length == 1) end;
      if .e then .x else empty end);
def truncate_stream(stream): . as $n | null | stream | . as $input
  | if (.[0] | length) > $n then setpath([0]; .[0][$n:]) else empty end;
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] |= $row);
def INDEX(f): INDEX(.[]; f);
def JOIN($idx; f): [.[] | [., $idx[f]]];
def JOIN($idx; stream; f): stream | [., $idx[f]];
def JOIN($idx; stream; f; join): stream | [., $idx[f]] | join;
def index($i): _indices($i) | .[0];
def rindex($i): _indices($i) | .[-1:][0];
def indices($i): _indices($i);
def join($sep): reduce .[] as $x (null; (if . == null then "" else . + $sep end) + ($x | if . == null then "" elif type == "string" then . else if type == "array" or type == "object" then . else tojson end end)) // "";
def debug(f): (f | debug | empty), .;
def error(f): f | error;
def halt_error: halt_error(5);
def get_search_list: [];
def have_literal_numbers: true;
def have_decnum: false;
def toarray: if type == "array" then . else [.] end;
def abs: if type == "number" then if . < 0 then -. else . end else error("\(type) (\(tojson)) has no absolute value") end;
def trimstr($x): ltrimstr($x) | rtrimstr($x);
