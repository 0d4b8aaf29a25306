# The verbs of this repository; the work is in .ci/run, which needs no `just`.

# What a change must pass before it is proposed
check:
    bash .ci/run check

# Everything that CI runs: also a real Kafka, benchmarks, foreign readers
ci:
    bash .ci/run

# Faults for as long as they deserve: three hours or so
faults:
    bash .ci/run faults_long

# Single stages: just stage kafka foreign
stage *STAGES:
    bash .ci/run {{STAGES}}

# Format the code
fmt:
    cargo fmt

# Benchmarks with figures
bench:
    cargo bench --locked
