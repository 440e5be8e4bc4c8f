"""The improvement loop: a table decides, handlers report, one pure function learns.

the machine   table (read it first) machine outcomes; handlers/, one module per state
what is known run settings trials; learning: what an outcome adds to it
effects       toolbox (handed to handlers) workflows ties (who wins when no verdict differs)
the journal   entries: steps as plain data and back
"""
