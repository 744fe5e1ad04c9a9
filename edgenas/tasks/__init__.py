"""Tasks: what a label is, how it is learnt, and what counts as a right answer.

A member is a file with what `core.contracts.TaskMember` names: the head (`outputs`), the loss and
what a network teaches others, the decoding of outputs, and the score. A data set says which task
its labels are of (`Dataset.task`); training, evaluation and verification ask that task, and know
neither classes nor labels themselves.
"""
