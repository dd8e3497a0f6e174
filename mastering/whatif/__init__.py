"""What if: a preview of changed options, over everybody or over a recorded run, with nothing applied (SPEC §§3, 4, 6, 7; decision 0055).

`world` is the options of one moment and what wishes make of them, `population` who would change if they were saved, `queue` what the
waiting records would come to, `again` how a recorded run would have come out, planned once more on the `directory` of its moment, and `past` the
same of a run of which only the plan is left. `previews` is what people do to a preview and `turns` how a worker carries it out. Nothing of the org is written: only the preview's own rows.
"""
