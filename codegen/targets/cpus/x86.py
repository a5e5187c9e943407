"""x86-64: features from SSE3 to AVX-512, and CPUs by Intel and AMD.

Sources: LLVM's X86 processor definitions (a test compares); cache sizes from the vendors' optimisation manuals, the
third level divided among the cores that share it.
"""

from __future__ import annotations

from mlc.codegen.targets.base import Caches
from mlc.codegen.targets.cpus.family import Cpu, Family, Feature
from mlc.codegen.targets.x86 import V2, V3, V4

FEATURES = (
    Feature("sse3", "horizontal sums of 128-bit vectors"),
    Feature("ssse3", "byte shuffles, absolute values", ("sse3",)),
    Feature("sse4.1", "rounding, blends, dot products of floats", ("ssse3",)),
    Feature("sse4.2", "64-bit comparisons", ("sse4.1",)),
    Feature("popcnt", "counting set bits"),
    Feature("cx16", "16-byte compare and swap"),
    Feature("avx", "256-bit float vectors, three operands", ("sse4.2",)),
    Feature("avx2", "256-bit integer vectors, gathers", ("avx",)),
    Feature("f16c", "conversions from and to half precision", ("avx",)),
    Feature("fma", "multiply-add with one rounding", ("avx",)),
    Feature("bmi", "bit-field extraction"),
    Feature("bmi2", "bit deposit, shifts without flags"),
    Feature("lzcnt", "counting leading zeros"),
    Feature("movbe", "byte-swapping loads and stores"),
    Feature("avxvnni", "dot products of four bytes in 256-bit vectors", ("avx2",)),
    Feature("avxvnniint8", "byte dot products of every signedness, 256-bit", ("avx2",)),
    Feature("avxvnniint16", "16-bit integer dot products, 256-bit", ("avx2",)),
    Feature("avxifma", "52-bit integer multiply-add, 256-bit", ("avx2",)),
    Feature("avxneconvert", "conversions from bfloat16 and half while loading", ("avx2",)),
    Feature("avx512f", "512-bit vectors, masks, 32 registers", ("avx2", "f16c", "fma")),
    Feature("avx512bw", "512-bit vectors of bytes and words", ("avx512f",)),
    Feature("avx512cd", "conflict detection, leading zeros of lanes", ("avx512f",)),
    Feature("avx512dq", "64-bit multiplication, float-integer conversions", ("avx512f",)),
    Feature("avx512vl", "masks and 32 registers for 128- and 256-bit vectors", ("avx512f",)),
    Feature("avx512ifma", "52-bit integer multiply-add", ("avx512f",)),
    Feature("avx512vbmi", "byte permutations across 512 bits", ("avx512bw",)),
    Feature("avx512vbmi2", "compressing and expanding bytes and words", ("avx512bw",)),
    Feature("avx512vnni", "dot products of four bytes", ("avx512f",), ("vnni",)),
    Feature("avx512bitalg", "counting set bits of bytes and words", ("avx512bw",)),
    Feature("avx512vpopcntdq", "counting set bits of 32- and 64-bit lanes", ("avx512f",)),
    Feature("avx512bf16", "dot products of bfloat16 pairs", ("avx512bw",), ("bf16",)),
    Feature("avx512fp16", "half-precision arithmetic", ("avx512bw", "avx512vl"), ("fp16",)),
)

_ICELAKE = V4 | {"avx512ifma", "avx512vbmi", "avx512vbmi2", "avx512vnni", "avx512bitalg", "avx512vpopcntdq"}
_SAPPHIRE = _ICELAKE | {"avx512bf16", "avx512fp16", "avxvnni"}
_ALDERLAKE = V3 | {"avxvnni"}
_ARROWLAKE = _ALDERLAKE | {"avxvnniint8", "avxifma", "avxneconvert"}
_LUNARLAKE = _ARROWLAKE | {"avxvnniint16"}
_ZEN4 = _ICELAKE | {"avx512bf16"}


def _caches(l1: int, l2: int, l3: int) -> Caches:
    """Sizes in KiB."""
    return Caches(l1=l1 << 10, l2=l2 << 10, l3=l3 << 10)


CPUS = (
    Cpu("x86-64", frozenset()),
    Cpu("x86-64-v2", V2),
    Cpu("x86-64-v3", V3),
    Cpu("x86-64-v4", V4),
    Cpu("nehalem", V2, _caches(32, 256, 2048)),
    Cpu("westmere", V2, _caches(32, 256, 2048)),
    Cpu("sandybridge", V2 | {"avx"}, _caches(32, 256, 2048)),
    Cpu("ivybridge", V2 | {"avx", "f16c"}, _caches(32, 256, 2048)),
    Cpu("haswell", V3, _caches(32, 256, 2048)),
    Cpu("broadwell", V3, _caches(32, 256, 2048)),
    Cpu("skylake", V3, _caches(32, 256, 2048)),
    Cpu("skylake-avx512", V4, _caches(32, 1024, 1408)),
    Cpu("cascadelake", V4 | {"avx512vnni"}, _caches(32, 1024, 1408)),
    Cpu("cooperlake", V4 | {"avx512vnni", "avx512bf16"}, _caches(32, 1024, 1408)),
    Cpu("icelake-client", _ICELAKE, _caches(48, 512, 2048)),
    Cpu("icelake-server", _ICELAKE, _caches(48, 1280, 1536)),
    Cpu("tigerlake", _ICELAKE, _caches(48, 1280, 3072)),
    Cpu("rocketlake", _ICELAKE, _caches(48, 512, 2048)),
    Cpu("alderlake", _ALDERLAKE, _caches(48, 1280, 3072)),
    Cpu("raptorlake", _ALDERLAKE, _caches(48, 2048, 3072)),
    Cpu("meteorlake", _ALDERLAKE, _caches(48, 2048, 3072)),
    Cpu("arrowlake", _ARROWLAKE, _caches(48, 3072, 3072)),
    Cpu("arrowlake-s", _LUNARLAKE, _caches(48, 3072, 3072)),
    Cpu("lunarlake", _LUNARLAKE, _caches(48, 2560, 3072)),
    Cpu("sapphirerapids", _SAPPHIRE, _caches(48, 2048, 1920)),
    Cpu("emeraldrapids", _SAPPHIRE, _caches(48, 2048, 5120)),
    Cpu("graniterapids", _SAPPHIRE, _caches(48, 2048, 4096)),
    Cpu("sierraforest", _ARROWLAKE, _caches(32, 1024, 768)),
    Cpu("silvermont", V2 | {"movbe"}, _caches(24, 512, 512)),
    Cpu("goldmont", V2 | {"movbe"}, _caches(24, 512, 512)),
    Cpu("tremont", V2 | {"movbe"}, _caches(32, 512, 1024)),
    Cpu("gracemont", _ALDERLAKE, _caches(32, 512, 1024)),
    Cpu("btver2", V2 | {"avx", "f16c", "bmi", "lzcnt", "movbe"}, _caches(32, 512, 512)),
    Cpu("znver1", V3, _caches(32, 512, 2048)),
    Cpu("znver2", V3, _caches(32, 512, 4096)),
    Cpu("znver3", V3, _caches(32, 512, 4096)),
    Cpu("znver4", _ZEN4, _caches(32, 1024, 4096)),
    Cpu("znver5", _ZEN4 | {"avxvnni"}, _caches(48, 1024, 4096)),
)

FAMILY = Family("x86_64", FEATURES, CPUS)
